//! The Python module `mediaserver._engine`.
