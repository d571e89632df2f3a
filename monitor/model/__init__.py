"""The nouns of the project, and its errors. Frozen values; knows no bytes, no Avi field names and no clock."""
