"""Files of rooms: resumable upload, checks, stripping, sealed chunks, links, deletion."""
