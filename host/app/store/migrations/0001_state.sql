-- What the plugin of a check keeps from one run to the next.
CREATE TABLE state_owner (
  id INTEGER PRIMARY KEY,
  check_name TEXT NOT NULL,
  plugin TEXT NOT NULL,
  -- When the state was last written or its check was last known to be configured: seconds since 1970.
  needed INTEGER NOT NULL,
  UNIQUE (check_name, plugin)
) STRICT;

CREATE TABLE state (
  owner INTEGER NOT NULL REFERENCES state_owner (id) ON DELETE CASCADE,
  key TEXT NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
