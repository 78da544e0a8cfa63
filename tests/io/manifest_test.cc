#include "lathe/io/manifest.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/io/atomic_file.h"

namespace lathe {
namespace {

using State = LineageNode::State;

// text -> tokenizer (folder) -> shard (prefix), as the commands write them.
void make_tree(const TempFolder& folder, const std::string& root = "r") {
  const auto text = folder.write(root + "/book.txt", "some text");
  AtomicDirectory tokenizer(folder / (root + "/tok"));
  write_file_atomically(tokenizer.temporary() / "tokenizer.json", "{}");
  Manifest made = new_manifest("tokenizer", "lathe tokenizer train book.txt");
  made.seed = 5;
  made.recipe = R"({"vocab_size":100})";
  add_input(made, text, "text");
  add_outputs_of_folder(made, tokenizer.temporary());
  write_manifest(manifest_path(tokenizer.temporary(), true), made,
                 manifest_path(folder / (root + "/tok"), true));
  tokenizer.commit();

  folder.write(root + "/data.bin", "12");
  folder.write(root + "/data.idx", "34");
  Manifest shard = new_manifest("shard", "lathe shard book.txt");
  shard.facts = R"({"tokens":1})";
  add_input(shard, folder / (root + "/tok"), "tokenizer");
  add_input(shard, text, "text");
  add_output(shard, folder / (root + "/data.bin"), "tokens");
  add_output(shard, folder / (root + "/data.idx"), "index");
  write_manifest(manifest_path(folder / (root + "/data"), false), shard);
}

TEST(Manifest, RoundTrip) {
  const TempFolder folder;
  make_tree(folder);
  const Manifest m = read_manifest(folder / "r/tok/lathe.manifest.json");
  EXPECT_EQ(m.kind, "tokenizer");
  EXPECT_EQ(m.seed, 5);
  EXPECT_EQ(m.recipe, R"({"vocab_size":100})");
  EXPECT_EQ(m.version, lathe_version());
  EXPECT_EQ(m.created.size(), 20u);
  EXPECT_FALSE(m.cpu.empty());
  EXPECT_GE(m.threads, 1);
  ASSERT_EQ(m.inputs.size(), 1u);
  EXPECT_EQ(m.inputs[0].relative_path, "../book.txt");
  ASSERT_EQ(m.outputs.size(), 1u);
  EXPECT_EQ(m.outputs[0].relative_path, "tokenizer.json");
}

TEST(Lineage, IntactTree) {
  const TempFolder folder;
  make_tree(folder);
  for (const char* name : {"r/data", "r/data.bin", "r/data.idx"}) {
    const LineageNode root = trace_lineage(folder / name);
    EXPECT_EQ(root.kind, "shard") << name;
    EXPECT_EQ(root.state, State::kIntact);
    ASSERT_EQ(root.parents.size(), 2u);
    EXPECT_EQ(root.parents[0].kind, "tokenizer");
    EXPECT_EQ(root.parents[0].state, State::kIntact);
    ASSERT_EQ(root.parents[0].parents.size(), 1u);
    EXPECT_EQ(root.parents[0].parents[0].kind, "text");
    EXPECT_EQ(root.parents[1].state, State::kIntact);
    EXPECT_FALSE(root.parents[1].manifest.has_value());
  }
  EXPECT_EQ(trace_lineage(folder / "r/tok/tokenizer.json").kind, "tokenizer");
}

TEST(Lineage, ChangedAndMissingParentsAreSaid) {
  const TempFolder folder;
  make_tree(folder);
  folder.write("r/book.txt", "other text");
  folder.write("r/data.bin", "99");
  LineageNode root = trace_lineage(folder / "r/data");
  EXPECT_EQ(root.state, State::kChanged);
  EXPECT_EQ(root.changed_files, (std::vector<std::string>{"data.bin has changed"}));
  EXPECT_EQ(root.parents[1].state, State::kChanged);
  std::filesystem::remove(folder / "r/book.txt");
  root = trace_lineage(folder / "r/data");
  EXPECT_EQ(root.parents[1].state, State::kMissing);
  EXPECT_EQ(root.parents[0].parents[0].state, State::kMissing);
}

TEST(Lineage, ATreeMayBeMovedWhole) {
  const TempFolder folder;
  make_tree(folder);
  std::filesystem::rename(folder / "r", folder / "moved");
  const LineageNode root = trace_lineage(folder / "moved/data");
  EXPECT_EQ(root.state, State::kIntact);
  EXPECT_EQ(root.parents[0].state, State::kIntact);
  EXPECT_EQ(root.parents[0].parents[0].state, State::kIntact);
}

TEST(Lineage, DamagedManifests) {
  const TempFolder folder;
  make_tree(folder);
  for (const char* bad :
       {"", "[]", "{}", "{\"lathe_manifest\":1,\"inputs\":3}",
        "{\"lathe_manifest\":1,\"inputs\":[3]}", "{\"lathe_manifest\":1,\"kind\":4}",
        "{\"lathe_manifest\":1,\"inputs\":[{\"path\":[]}]}",
        "{\"lathe_manifest\":1,\"inputs\":[{\"relative_path\":\"x\"}]}",
        "{\"lathe_manifest\":1,\"outputs\":[{\"path\":\"\"}]}"}) {
    folder.write("r/data.manifest.json", bad);
    EXPECT_NE(error_text([&] { trace_lineage(folder / "r/data"); }), "no error") << bad;
  }
  folder.write("r/data.manifest.json",
               R"({"lathe_manifest":1,"inputs":[{"path":"x","relative_path":"data","hash":"0"}]})");
  EXPECT_NE(error_text([&] { trace_lineage(folder / "r/data"); }).find("its own ancestors"),
            std::string::npos);
  EXPECT_NE(error_text([&] { trace_lineage(folder / "none"); }).find("does not exist"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
