//! The second version of `wants-little`: does the same, and wants a database, a secret and a
//! folder besides.
//!
//! A good host does not let it replace the first version before somebody has granted all that; it
//! shows what it waits for, and the first version goes on.

use serde_json::Value;
use wellcheck_plugin::{Context, Description, Plugin, Report, Stop};

struct WantsMore;

impl Plugin for WantsMore {
    type Settings = Value;

    fn describe() -> Description {
        guests::modest("2.0.0")
            .want("sockets", "tcp://db.internal:5432", "to ask the database")
            .want("secrets", "db-password", "to log in there")
            .want("dirs", "/var/spool", "to look around")
            .want("state", "64KiB", "to remember it all")
    }

    fn run(_: Value, _: &Context) -> Result<Report, Stop> {
        Ok(Report::pass("content"))
    }
}

wellcheck_plugin::export!(WantsMore);
