#pragma once
// Steps with one key: one runs, and the others have its result from the cache.

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "file_use.hpp"
#include "sagebuild/base/digest.hpp"

namespace sagebuild {

class Twins {
 public:
  void begin(const Digest& key) { run_.insert(key); }
  bool runs(const Digest& key) const { return run_.contains(key); }
  // The node is to be asked again when what runs with that key has ended.
  void wait(const Digest& key, NodeId node) { waiting_.emplace(key, node); }
  // Gives those that wait for it, whether there is a result now or none.
  std::vector<NodeId> end(const Digest& key);

  // So many have ended; who asked the cache then may have asked too early.
  std::uint64_t ended() const { return ended_; }
  bool ended_since(const Digest& key, std::uint64_t asked) const;

 private:
  std::set<Digest> run_;
  std::multimap<Digest, NodeId> waiting_;
  std::map<Digest, std::uint64_t> ends_;  // the last of each key, numbered
  std::uint64_t ended_ = 0;
};

}  // namespace sagebuild
