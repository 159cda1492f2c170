#include "sagebuild/vcs/remote_url.hpp"

#include "support/catch.hpp"

namespace sagebuild {

TEST_CASE("remote addresses are told from paths") {
  CHECK(parse_remote_url("https://github.com/a/b")->url == "https://github.com/a/b");
  CHECK(parse_remote_url("HTTPS://github.com/a/b")->scheme == "https");
  CHECK(parse_remote_url("git+https://github.com/a/b.git")->url == "https://github.com/a/b.git");
  CHECK(parse_remote_url("git://host:9418/x")->scheme == "git");
  CHECK(parse_remote_url("ssh://me@host:22/x")->user == "me");
  CHECK(parse_remote_url("git@github.com:a/b.git")->scheme == "ssh");
  for (const char* path :
       {"/srv/x", "./a:b", "../x", "a/b@c:d", "file:///x", "ftp://host/x", "C:/x", "@:x", ""}) {
    INFO(path);
    CHECK_FALSE(parse_remote_url(path).has_value());
  }
}

TEST_CASE("the host and port of an address are known, whatever its form") {
  const auto place = [](const char* text) {
    const auto url = parse_remote_url(text);
    return url ? url->host + " " + url->port : "";
  };
  CHECK(place("https://me:pw@GitHub.com/a") == "github.com 443");
  CHECK(place("http://[::1]:8080/a") == "::1 8080");
  CHECK(place("ssh://me@host/x") == "host 22");
  CHECK(place("git://host/x") == "host 9418");
  CHECK(place("git@host:x/y") == "host 22");
  // What a password holds is no host: it should have been percent-encoded.
  CHECK(place("https://me:p/w@host/x") == "");
}

TEST_CASE("credentials leave the address and are secret") {
  const auto both = parse_remote_url("https://me:s%40cret-word@host/x");
  CHECK(both->url == "https://host/x");
  CHECK(both->user == "me");
  CHECK(both->password.reveal() == "s@cret-word");
  CHECK(redacted("say s@cret-word") == "say ***");

  const auto token = parse_remote_url("https://token12345@host/x");
  CHECK(token->url == "https://host/x");
  CHECK(token->password.reveal() == "token12345");

  const auto ssh = parse_remote_url("ssh://me:word-of-ssh@host/x");
  CHECK(ssh->url == "ssh://me@host/x");
  CHECK(ssh->password.reveal() == "word-of-ssh");
}

TEST_CASE("file addresses become paths") {
  CHECK(file_url_path("file:///srv/a%20b") == "/srv/a b");
  CHECK(file_url_path("file:///srv/100%") == "/srv/100%");
  CHECK(file_url_path("git+file:///srv/x") == "/srv/x");
  CHECK(file_url_path("file://localhost/srv/x") == "/srv/x");
  CHECK_FALSE(file_url_path("/srv/x").has_value());
  CHECK_THROWS_MATCHES(file_url_path("file://srv/x"), Error,
                       says("names no host").hints("file:///srv/x"));
}

TEST_CASE("relative submodule addresses") {
  CHECK(resolve_relative_url("https://host/a/b.git", "../c.git") == "https://host/a/c.git");
  CHECK(resolve_relative_url("https://host/a/b/", "../../x/y") == "https://host/x/y");
  CHECK(resolve_relative_url("https://host/a/b", "./c") == "https://host/a/b/c");
  CHECK(resolve_relative_url("git@host:a/b.git", "../c.git") == "git@host:a/c.git");
  CHECK(resolve_relative_url("git@host:b.git", "../c.git") == "git@host:c.git");
  CHECK(resolve_relative_url("/srv/git/b", "../c") == "/srv/git/c");
  CHECK(resolve_relative_url("/srv/b", "https://host/x") == "https://host/x");
  CHECK_THROWS_MATCHES(resolve_relative_url("https://host/a", "../../x"), Error,
                       says("climbs above"));
  CHECK_THROWS_MATCHES(resolve_relative_url("git@host:b", "../../x"), Error, says("climbs above"));
}

}  // namespace sagebuild
