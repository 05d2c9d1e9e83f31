"""What the API shows, one file a resource; what events show too stands in `shared.events.resources`."""
