//! The session of zrok's documentation over an agent's own port, as one that another host may reach:
//! shares can be asked about there, and nothing else.

use crate::configuration::tokens;
use crate::support::host::host;
use crate::support::http;
use crate::support::program::{Ended, command, finish};
use crate::support::servers::free_port;
use crate::support::target;

const V1: &str = "/api/v1/agent/share/http-healthcheck";
const V2: &str = "/api/v2/agent/share/http-healthcheck";
const TYPE: &str = "application/zrok.v1+json";

#[test]
fn an_agent_answers_about_shares_on_a_port_of_its_own() {
    let (target, dead) = (target::http().status(200).start(), free_port());
    let config = format!(
        "{}[agent]\nenvironment = \"MxMbUXSANU\"\n\
         [[share]]\ntoken = \"8rvjpmeeyvwc\"\ntarget = \"http://{}\"\n\
         [[share]]\ntoken = \"2bfvnne6kb3c\"\ntarget = \"http://127.0.0.1:{dead}\"\n\
         [[check]]\nname = \"beside\"\nkind = \"http\"\nurl = \"{}\"\ninterval = \"1h\"\n\
         [[listen]]\nname = \"agent\"\naddress = \"127.0.0.1:0\"\nroutes = [\"{V1}\", \"{V2}\"]\n",
        tokens(),
        target.address,
        target.url("/beside"),
    );
    let host = host().config(&config).start();
    let (agent, url) = (host.listener_address("agent"), host.listener("agent"));
    let session = |args: &[&str]| -> Ended {
        let mut program = command();
        program.current_dir(env!("CARGO_TARGET_TMPDIR")).args(["agent", "share"]).args(args);
        finish(program.args(["--url", &url]).env("WELLCHECK_TOKEN", "token-of-operate"), "")
    };
    let says = |args: &[&str], code: i32, out: &str| {
        let ended = session(args);
        assert_eq!((ended.code, &*ended.out, &*ended.err), (code, out, ""), "{args:?}");
    };
    says(&["http-healthcheck", "8rvjpmeeyvwc", "GET", "/", "200"], 0, "healthy\n");
    says(
        &["health", "8rvjpmeeyvwc", "GET", "/", "202", "--timeout", "3s"],
        1,
        "unhealthy; unexpected status code; got '200', want '202'\n",
    );
    let refused = format!(
        "unhealthy; failed to execute request: Get \"http://127.0.0.1:{dead}/\": dial tcp 127.0.0.1:{dead}: connect: connection refused\n"
    );
    says(&["http-healthcheck", "2bfvnne6kb3c", "GET", "/", "200"], 1, &refused);

    let question = r#"{"envZId":"MxMbUXSANU","shareToken":"8rvjpmeeyvwc","httpVerb":"GET","endpoint":"/","expectedHttpResponse":200}"#;
    let ask = |path: &str, token: &str| {
        let headers = [("X-TOKEN", token), ("Content-Type", TYPE)];
        http::request(agent, "POST", path, &headers, question).expect("an answer")
    };
    for path in [V1, V2] {
        let answer = ask(path, "token-of-operate");
        assert_eq!((answer.code, answer.body.as_str()), (200, "{\"healthy\":true}\n"), "{path}");
        assert_eq!(ask(path, "wrong").code, 401, "{path}");
    }
    for path in ["/health", "/api/v1/checks", "/api/v1/status", "/probe", "/-/reload", "/"] {
        assert_eq!(ask(path, "token-of-operate").code, 404, "{path}");
    }
    // What is asked for on demand is no check: nothing of it shows in health.
    host.until_state("beside", "pass");
    assert_eq!(host.names(), ["beside"]);
    assert_eq!(host.get("/health").code, 200);
}
