"""Who speaks when: engines that tell speakers apart, and how words come by their speaker."""
