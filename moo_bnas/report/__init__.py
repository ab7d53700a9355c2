"""What is drawn of results: tables, figures, pages, images. It reads no storage."""
