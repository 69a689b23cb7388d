//! What each proxy is told. All of them name the client to the application, keep their connections
//! to it, pass bodies on without a detour over the disk, and write no access log.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::Context;

use crate::app;
use crate::certificate::Certificate;

/// What a proxy stands in front of.
#[derive(Clone)]
pub(crate) struct Site {
    /// Where it listens.
    pub(crate) listen: u16,
    /// Where the application does: the first port, if there are several instances.
    pub(crate) app: u16,
    /// Instances of it.
    pub(crate) instances: u16,
    /// Names in the routing table; the application answers to the one in the middle.
    pub(crate) services: u16,
    /// Clients at the same time.
    pub(crate) clients: u32,
    pub(crate) closing: app::Closing,
    /// What is shown to clients inside TLS; none for clear text.
    pub(crate) certificate: Option<Rc<Certificate>>,
}

impl Site {
    /// The host that requests are for.
    pub(crate) fn host(&self) -> String {
        host(self.services / 2)
    }

    fn hosts(&self) -> impl Iterator<Item = (u16, String)> {
        (0..self.services).map(|number| (number, host(number)))
    }
}

fn host(number: u16) -> String {
    format!("service-{number}.example")
}

/// Keys of `smoothserve.yaml` and a file for each service, of which one runs.
pub(crate) fn smoothserve(folder: &Path, site: &Site, command: u16) -> anyhow::Result<PathBuf> {
    let file = folder.join("smoothserve.yaml");
    fs::create_dir(folder.join("services"))?;
    let mut text =
        format!("CommandPort: {command}\nProxyAddr: 127.0.0.1\nSubConfigDir: services\n");
    if let Some(certificate) = &site.certificate {
        writeln!(
            text,
            "tls: {{{}: {{min_version: 1.3, certificates: [{{certificate: {}, key: {}}}]}}}}",
            site.listen,
            certificate.chain().display(),
            certificate.key().display(),
        )?;
    }
    fs::write(&file, text)?;
    let program = std::env::current_exe().context("could not find this program")?;
    let mut arguments = vec![app::VERB.to_owned(), "-port={port}".to_owned()];
    arguments.extend(site.closing.arguments());
    for (number, host) in site.hosts() {
        let mut text = format!(
            "name: service-{number}\nserver_name: {host}\nport: {}\nexecutable_path: {}\n\
             args: {arguments:?}\n",
            site.listen,
            program.display(),
        );
        if number == site.services / 2 {
            let (port, count) = (site.app, site.instances);
            write!(text, "start_instance_port: {port}\ninstance_count: {count}\n")?;
        } else {
            // Not launched: any port that nobody else has.
            write!(text, "start_instance_port: {}\nenabled: false\n", 40_000 + number)?;
        }
        fs::write(folder.join("services").join(format!("service-{number}.yaml")), text)?;
    }
    Ok(file)
}

/// `nginx.conf`.
pub(crate) fn nginx(folder: &Path, site: &Site) -> anyhow::Result<PathBuf> {
    let place = folder.display();
    let mut text = format!(
        "daemon off;
worker_processes 1;
pid {place}/nginx.pid;
error_log stderr crit;
events {{ worker_connections {clients}; }}
http {{
    access_log off;
    client_body_temp_path {place}; proxy_temp_path {place};
    fastcgi_temp_path {place}; uwsgi_temp_path {place}; scgi_temp_path {place};
    server_names_hash_bucket_size 128;
    server_names_hash_max_size 4096;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_http_version 1.1;
    proxy_set_header Connection \"\";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    upstream app {{
        server 127.0.0.1:{app};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
",
        // Those to the application, and a rest: nginx closes idle clients when few are free.
        clients = site.clients * 5 / 4 + 512,
        app = site.app,
    );
    let mut options = "";
    if let Some(certificate) = &site.certificate {
        options = " ssl http2";
        writeln!(
            text,
            "    ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3;",
            certificate.chain().display(),
            certificate.key().display(),
        )?;
    }
    for (_, host) in site.hosts() {
        writeln!(
            text,
            "    server {{ listen 127.0.0.1:{}{options}; server_name {host}; location / {{ proxy_pass http://app; }} }}",
            site.listen
        )?;
    }
    text.push_str("    server_tokens off;\n}\n");
    let file = folder.join("nginx.conf");
    fs::write(&file, text)?;
    Ok(file)
}

/// `haproxy.cfg`, and the map of its hosts.
pub(crate) fn haproxy(folder: &Path, site: &Site) -> anyhow::Result<PathBuf> {
    let map = folder.join("hosts.map");
    let lines = site.hosts().map(|(number, host)| format!("{host} service-{number}\n"));
    fs::write(&map, lines.collect::<String>())?;
    let (options, scheme) = match &site.certificate {
        None => (String::new(), "http"),
        Some(certificate) => {
            let file = certificate.both();
            let file = file.display();
            (format!(" ssl crt {file} alpn h2,http/1.1 ssl-min-ver TLSv1.3"), "https")
        }
    };
    let mut text = format!(
        "global
    nbthread 1
    maxconn {clients}
    no strict-limits
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    option forwardfor
frontend all
    bind 127.0.0.1:{listen}{options}
    http-request set-header X-Forwarded-Proto {scheme}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    use_backend %[req.hdr(host),lower,map({map})]
",
        clients = site.clients,
        listen = site.listen,
        map = map.display(),
    );
    for (number, _) in site.hosts() {
        writeln!(text, "backend service-{number}\n    server app 127.0.0.1:{}", site.app)?;
    }
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text)?;
    Ok(file)
}

/// `Caddyfile`.
pub(crate) fn caddy(folder: &Path, site: &Site) -> anyhow::Result<PathBuf> {
    let (servers, scheme, tls) = match &site.certificate {
        None => ("", "http", String::new()),
        Some(certificate) => {
            let (chain, key) = (certificate.chain(), certificate.key());
            let (chain, key) = (chain.display(), key.display());
            let servers = "    servers {\n        protocols h1 h2\n    }\n";
            let tls = format!("    tls {chain} {key} {{\n        protocols tls1.3\n    }}\n");
            (servers, "https", tls)
        }
    };
    let mut text =
        format!("{{\n    admin off\n    auto_https off\n    persist_config off\n{servers}}}\n");
    for (_, host) in site.hosts() {
        write!(
            text,
            "{scheme}://{host}:{listen} {{
    bind 127.0.0.1
{tls}    reverse_proxy 127.0.0.1:{app} {{
        transport http {{
            keepalive_idle_conns_per_host 64
        }}
    }}
}}
",
            listen = site.listen,
            app = site.app,
        )?;
    }
    let file = folder.join("Caddyfile");
    fs::write(&file, text)?;
    Ok(file)
}
