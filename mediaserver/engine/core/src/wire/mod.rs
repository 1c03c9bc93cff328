//! Wire formats: parsers and writers without state of their own. Nothing here knows a call.
