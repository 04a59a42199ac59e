"""The tab about data of one's own."""
