// Provenance: every artefact records what it was made from.
//
// A folder has a `lathe.manifest.json`; a file or a prefix P has a `P.manifest.json`. A manifest
// records what made the artefact (command, recipe, seed, version, time, machine), the hashes of its
// inputs and of its own files. `lathe lineage PATH` follows the inputs up to the raw text and
// reports which of them are missing or have changed. Format: docs/formats.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct ArtefactRef {
  std::string path;           // as it was given
  std::string relative_path;  // from the folder of the manifest, so that a tree can be moved whole
  std::string kind;           // "text", "tokenizer", "shard", "model", "checkpoint", "recipe", …
  std::string hash;           // hash_artefact()
};

struct Manifest {
  std::string kind;
  std::string version;  // of lathe
  std::string created;  // "2025-01-31T12:00:00Z"
  std::string command;
  std::optional<int64_t> seed;
  std::string recipe;  // JSON text; empty: none
  std::string facts;   // JSON text with counts (documents, tokens, steps); empty: none
  std::string cpu;
  int64_t threads = 0;
  std::vector<ArtefactRef> inputs, outputs;
};

std::string lathe_version();

// Where the manifest of an artefact is written (the artefact need not exist yet): inside a folder,
// next to anything else.
std::filesystem::path manifest_path(const std::filesystem::path& artefact, bool is_folder);

// The manifest that describes `path`: its own, that of the prefix if it ends in .bin or .idx, or
// that of the folder it is in if the manifest's outputs list it. nullopt if there is none.
std::optional<std::filesystem::path> find_manifest(const std::filesystem::path& path);

// A manifest with version, time and machine filled in.
Manifest new_manifest(std::string_view kind, std::string_view command);

// Hashes what exists now at `path`. Throws kIo when it does not exist.
void add_input(Manifest& manifest, const std::filesystem::path& path, std::string_view kind);
void add_output(Manifest& manifest, const std::filesystem::path& path, std::string_view kind);
// As add_output for every file below `folder` (also a temporary one, since names are relative to
// it).
void add_outputs_of_folder(Manifest& manifest, const std::filesystem::path& folder);

// `final_path` is where the manifest will be later if that is not `path`, as for a folder that is
// renamed into place; relative paths are computed from it.
void write_manifest(const std::filesystem::path& path, Manifest manifest,
                    const std::filesystem::path& final_path = {});
// Throws kIo, or kFormat for a file that is not a manifest.
Manifest read_manifest(const std::filesystem::path& path);

// Where an input or output of the manifest in `folder` is: beside it, so that a tree that was copied or moved still holds
// together, or else where it was.
std::filesystem::path locate(const ArtefactRef& ref, const std::filesystem::path& folder);

struct LineageNode {
  enum class State {
    kIntact,      // there, with the recorded hash
    kChanged,     // there, with another hash
    kMissing,     // not there
    kUnrecorded,  // there, nothing recorded to compare with
  };
  std::string path, kind, recorded_hash;
  State state = State::kUnrecorded;
  std::optional<Manifest> manifest;        // nullopt: a source, or made elsewhere
  std::vector<std::string> changed_files;  // outputs that have changed or are missing
  std::vector<LineageNode> parents;
};

// The tree above `path`. Throws kIo when `path` itself does not exist, kFormat for a damaged
// manifest and for manifests that name each other in a circle.
LineageNode trace_lineage(const std::filesystem::path& path);

}  // namespace lathe
