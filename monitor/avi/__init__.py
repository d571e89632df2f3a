"""All that knows Avi: field names and formats (schema), sessions and requests (client)."""
