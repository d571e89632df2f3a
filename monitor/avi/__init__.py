"""The Controller's API: its JSON (wire, image, paging, login, values), the meaning of replies (errors), the client."""
