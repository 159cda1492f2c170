#include "twins.hpp"

namespace sagebuild {

std::vector<NodeId> Twins::end(const Digest& key) {
  if (run_.erase(key) == 0) return {};
  ends_[key] = ++ended_;
  std::vector<NodeId> nodes;
  const auto [first, last] = waiting_.equal_range(key);
  for (auto entry = first; entry != last; ++entry) nodes.push_back(entry->second);
  waiting_.erase(first, last);
  return nodes;
}

bool Twins::ended_since(const Digest& key, std::uint64_t asked) const {
  const auto last = ends_.find(key);
  return last != ends_.end() && last->second > asked;
}

}  // namespace sagebuild
