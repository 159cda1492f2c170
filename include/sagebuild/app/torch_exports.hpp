#pragma once
// What torch exports: of every release by the list that comes with sagebuild, or of one that is
// there.

#include <filesystem>
#include <memory>

#include "sagebuild/verify/torch_symbols.hpp"

namespace sagebuild {

// data/torch-symbols.zip; null where the program stands alone, without its data.
std::shared_ptr<const TorchSymbols> known_torch();

// Of a torch wheel, or of an installed torch: an environment, its site-packages, or the folder
// "torch" in it. Throws Error{usage} if there is none.
std::shared_ptr<const TorchSymbols> torch_at(const std::filesystem::path& path);

}  // namespace sagebuild
