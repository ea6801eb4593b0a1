"""Telling partners: what a partner wants to hear is data, and one template engine speaks the macro dialects of the trade."""
