"""One file a resource; a controller only translates between HTTP and a use case."""
