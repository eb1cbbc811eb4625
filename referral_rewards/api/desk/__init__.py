"""The approvers' desk: pages rendered on the server, over the same rules as the API."""
