#pragma once
// What a request changes at a head: files that differ, files that go, and the index files.

#include <set>
#include <string>
#include <vector>

#include "hub/item.hpp"
#include "sagebuild/hub/publish.hpp"
#include "sagebuild/hub/shelf.hpp"

namespace sagebuild {

struct View {
  std::string commit;
  RemoteTree tree;
};

class Comparer {
 public:
  // References outlive the object.
  Comparer(HubApi& api, const PublishRequest& request, Reporter& report)
      : api_(api), request_(request), report_(report) {}

  // `items` are the request's files, hashed. Throws Error{failed} if other content stands under one
  // of their names or is in the place of a file that shall go, if a file that shall be moved is
  // gone, or if a path would be a file and a folder.
  Changes compare(const View& view, const std::vector<Item>& items);
  // Paths of the request's files that were there with the same content at the first look.
  const std::set<std::string>& present() const { return present_; }

 private:
  void add_file(const View& view, const Item& item, Changes& changes);
  void add_removal(const View& view, const std::string& path, const RemoteFile& chosen,
                   Changes& changes) const;
  void add_move(const View& view, const MovedFile& move, Changes& changes);
  void require_room(const View& view, const Changes& changes) const;
  bool changes_wheels() const;
  void add_index(const View& view, const std::vector<Item>& items, Changes& changes);
  WheelRows new_rows(const PresentFiles& present, const ShelfWheels& known) const;

  HubApi& api_;
  const PublishRequest& request_;
  Reporter& report_;
  std::set<std::string> present_;
  std::set<std::string> warned_;  // of the index, once
  bool looked_ = false;
};

}  // namespace sagebuild
