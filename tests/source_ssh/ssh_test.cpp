// ssh, with the key in ~/.ssh and the host in known_hosts. Needs python3-paramiko for the server
// and ssh-keygen for keys.
#include <sys/wait.h>

#include <cstdio>

#include "sagebuild/source/fetch.hpp"
#include "sagebuild/vcs/repository.hpp"
#include "support/catch.hpp"
#include "support/fetch_world.hpp"

namespace sagebuild {
namespace fs = std::filesystem;

namespace {

void make_key(const fs::path& path) {
  Command command;
  command.argv = {"ssh-keygen", "-q", "-t", "ecdsa", "-m", "PEM", "-N", "", "-f", path.string()};
  run_checked(command, "ssh-keygen failed");
}

}  // namespace

TEST_CASE("ssh: the default key is used, an unknown host is refused") {
  if (!find_program("ssh-keygen") || !GitServer::python("ssh"))
    SKIP_HERE("needs python3-paramiko and ssh-keygen");
  FetchWorld world;
  world.sample.bare("bare.git");
  const fs::path home = world.folder.path() / "home";
  make_folders(home / ".ssh");
  make_key(home / ".ssh" / "id_ecdsa");
  make_key(world.folder.path() / "host_key");
  const GitServer server(world.folder.path(), "ssh",
                         {"--key", (world.folder.path() / "host_key").string()});
  const std::string url = "ssh://git@127.0.0.1:" + server.port() + "/bare.git";
  const WithVariable at_home("HOME", home.string());
  const WithVariable no_agent("SSH_AUTH_SOCK", "");

  if (libgit2_version() < 10405) {
    CHECK_THROWS_MATCHES(world.fetch_from(url), Error,
                         says("does not check the keys of ssh hosts").hints("https"));
    return;
  }
  write_file(home / ".ssh" / "known_hosts", "");
  CHECK_THROWS_MATCHES(world.fetch_from(url), Error, says("cannot fetch").hints("known_hosts"));
  const std::string key = read_file(world.folder.path() / "host_key.pub");
  write_file(home / ".ssh" / "known_hosts", "[127.0.0.1]:" + server.port() + " " + key);
  CHECK(world.fetch_from(url).commit == world.sample.second());
  CHECK(server.requests().find("key ecdsa-sha2-nistp256 of git") != std::string::npos);
}

}  // namespace sagebuild
