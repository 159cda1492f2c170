#pragma once
// One try at a commit: what the storage lacks is sent, then the Hub is asked for the commit.

#include <cstdint>
#include <string>
#include <vector>

#include "hub/comparer.hpp"
#include "hub/item.hpp"
#include "sagebuild/hub/publish.hpp"

namespace sagebuild {

// Where a request's commit goes.
struct CommitTarget {
  std::string revision;  // the branch, or "refs/pr/N"
  int pull = 0;          // the number of our pull request; 0: there is none yet
};

class CommitSender {
 public:
  // References outlive the object.
  CommitSender(HubApi& api, const PublishRequest& request, Reporter& report)
      : api_(api), request_(request), report_(report) {}

  // Makes the changes to what was seen in `view`, its commit being the parent. `items` are the
  // request's files. Nothing is committed where the Hub has moved on meanwhile, as it says. Throws
  // what send_objects does, and Error{failed} if the Hub would leave a file out.
  CommitAnswer send(const View& view, Changes changes, const std::vector<Item>& items,
                    const CommitTarget& target);

  // Whether a commit went out: from then on only the repository tells whether it was made.
  bool has_sent() const { return has_sent_; }
  std::uint64_t bytes_sent() const { return bytes_sent_; }  // to the storage

 private:
  bool opens_pull(const CommitTarget& target) const {
    return request_.open_pull && target.pull == 0;
  }
  CommitAnswer commit(const View& view, const Changes& changes, const std::vector<Item>& items,
                      const CommitTarget& target);

  HubApi& api_;
  const PublishRequest& request_;
  Reporter& report_;
  std::uint64_t bytes_sent_ = 0;
  bool has_sent_ = false;
};

}  // namespace sagebuild
