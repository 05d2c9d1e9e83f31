"""The description of the API: OpenAPI 3.1, made from the routes, their guards and their Structs, and the page that shows it."""
