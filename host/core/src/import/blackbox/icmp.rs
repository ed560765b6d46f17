//! The prober `icmp`.

use super::http;
use crate::import::context::{Context, Fields};
use crate::import::http::Request;
use crate::import::write::Item;

/// What our packets may carry, in bytes.
const SIZES: (i64, i64) = (16, 65_000);

pub(super) fn request(mut fields: Fields<'_>, context: &mut Context<'_>) -> Request {
    let mut request = Request::default();
    let what = fields.what().to_owned();
    http::family(&mut fields, &mut request, context);
    if let Some((size, mark)) = fields.integer("payload_size", context)
        && size != 0
    {
        let within = size.clamp(SIZES.0, SIZES.1);
        if within != size {
            let message = format!("`payload_size` of {what} becomes {within} (found {size})");
            context.note(mark, message);
        }
        request.further.push(("size", Item::from(format!("{within}B").as_str())));
    }
    if let Some((ttl, mark)) = fields.integer("ttl", context)
        && ttl != 0
    {
        if (1..=255).contains(&ttl) {
            request.further.push(("ttl", Item::from(ttl)));
        } else {
            context.error(mark, format!("`ttl` of {what} is {ttl} (expected 0 to 255)"));
        }
    }
    if let Some((true, _)) = fields.boolean("dont_fragment", context) {
        request.further.push(("dont-fragment", Item::from(true)));
    }
    fields.leave_out(&[("source_ip_address", "the system chooses the address")], context);
    fields.finish(context);
    request
}
