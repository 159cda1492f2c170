#pragma once
// How an option is shown by --help, completion and man pages: its group and the name of its value.

#include <string_view>

namespace sagebuild {

struct OptionLook {
  std::string_view group;  // empty: hidden, for tests
  // What it takes. Small words with '|' between them are all there are; FILE and DIR are paths.
  std::string_view value;
};

// `setting` is the option's name without "--". One that is not in the table is in the group
// "Options" and takes a VALUE. "upload-X" is in "Upload", and takes what X takes.
OptionLook look_of(std::string_view setting);

// Of its group among the others, in --help.
std::size_t order_of(const OptionLook& look);

// A command with fewer options than this needs no groups.
inline constexpr std::size_t kGroupedFrom = 12;

}  // namespace sagebuild
