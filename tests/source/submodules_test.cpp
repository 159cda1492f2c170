#include "source/submodules.hpp"

#include "support/catch.hpp"

namespace sagebuild {

TEST_CASE(".gitmodules is read as git writes and people edit it") {
  const auto urls = parse_gitmodules(
      "# a comment\n[submodule \"a b\"]\n\tpath = third/a b\n\turl = \"https://host/a "
      "b.git\"\n\tbranch = main\n"
      "[submodule \"c\"]\r\n  URL=../c.git\r\n  Path=c\r\n; another\n[submodule \"no "
      "address\"]\npath = "
      "d\n[include]\n\tpath = /etc/x\n");
  CHECK(urls == std::map<std::string, std::string>{{"c", "../c.git"},
                                                   {"third/a b", "https://host/a b.git"}});
  CHECK(parse_gitmodules("").empty());
  CHECK(parse_gitmodules("\xff\xfe[[[\n===\n").empty());
}

}  // namespace sagebuild
