"""Files: upload, checks, stripping, storage, links, deletion."""
