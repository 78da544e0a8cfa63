// What a command may replace.

#include "lathe/io/output_folder.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/io/model_files.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

// The folder in which relative names begin, for a while.
class WorkingFolder {
 public:
  explicit WorkingFolder(const fs::path& path) : before_(fs::current_path()) {
    fs::current_path(path);
  }
  ~WorkingFolder() { fs::current_path(before_); }
  WorkingFolder(const WorkingFolder&) = delete;
  WorkingFolder& operator=(const WorkingFolder&) = delete;

 private:
  fs::path before_;
};

void write_into(const OutputFolder& output) {
  AtomicDirectory folder = make_output_folder(output);
  std::ofstream(folder.temporary() / "config.json") << "new";
  folder.commit();
}

TEST(OutputFolder, ABareNameIsAPathInTheCurrentFolder) {
  const TempFolder folder;
  const WorkingFolder here(folder.path());
  for (const char* name : {"mine", "yours/", "./theirs", "a/b", "c/d/"}) {
    write_into({name});
    EXPECT_EQ(content_of(folder / name / "config.json"), "new") << name;
  }
  EXPECT_EQ(error_text([] { write_into({""}); }),
            "[output] the name of the folder is empty; give one");
  AtomicDirectory direct("bare");
  direct.commit();
  EXPECT_TRUE(fs::exists(folder / "bare"));
}

TEST(OutputFolder, ReplacesAModelFolderWhenAsked) {
  const TempFolder folder;
  for (const char* part : {"config.json", "model-00001-of-00002.safetensors",
                           "model.safetensors.index.json", "tokenizer.json", "lathe.manifest.json"})
    folder.write(std::string("model/") + part, "old");
  const std::string refused = error_text([&] { write_into({folder / "model"}); });
  EXPECT_NE(refused.find("already exists; choose another name, or replace it with --overwrite"),
            std::string::npos)
      << refused;
  EXPECT_EQ(entries_in(folder / "model"), 5u);
  write_into({folder / "model", /*overwrite=*/true, {}});
  EXPECT_EQ(entries_in(folder / "model"), 1u);
  fs::create_directories(folder / "empty");
  write_into({folder / "empty", /*overwrite=*/true, {}});
  EXPECT_EQ(content_of(folder / "empty/config.json"), "new");
  EXPECT_EQ(entries_in(folder.path()), 2u);
}

TEST(OutputFolder, ReplacesAFolderOfAnAdapterWhenAsked) {
  const TempFolder folder;
  for (const char* part :
       {"adapter_config.json", "adapter_model.safetensors", "encoder.safetensors"})
    folder.write(std::string("adapter/") + part, "old");
  write_into({folder / "adapter", /*overwrite=*/true, {}});
  EXPECT_EQ(entries_in(folder / "adapter"), 1u);
}

TEST(OutputFolder, KeepsWhatIsNoModel) {
  const TempFolder folder;
  folder.write("notes/a.txt", "x");
  folder.write("mixed/config.json", "{}");
  folder.write("mixed/thesis.tex", "x");
  folder.write("deep/config.json", "{}");
  folder.write("deep/model.safetensors/a.txt", "x");
  folder.write("vocabulary/vocab.txt", "x");
  folder.write("file", "x");
  for (const auto& [name, because] : {std::pair{"notes", "'a.txt'"},
                                      {"mixed", "'thesis.tex'"},
                                      {"deep", "'model.safetensors'"},
                                      {"vocabulary", "no config.json"},
                                      {"file", "is not a folder"}}) {
    for (const bool overwrite : {false, true}) {
      const std::string text = error_text([&, &n = name] {
        write_into({folder / n, overwrite, {}});
      });
      EXPECT_NE(text.find(because), std::string::npos) << text;
      EXPECT_EQ(text.find("--overwrite"), std::string::npos) << text;  // which would not help
    }
  }
  EXPECT_EQ(content_of(folder / "notes/a.txt"), "x");
  EXPECT_EQ(entries_in(folder.path()), 5u);
}

TEST(OutputFolder, KeepsTheSource) {
  const TempFolder folder;
  folder.write("around/from/config.json", "{}");
  const fs::path from = folder / "around/from";
  fs::create_directory_symlink(from, folder / "link");
  const WorkingFolder here(from);
  for (const fs::path& out : {from, from / "", folder / "around", folder / "link", fs::path("."),
                              fs::path(".."), fs::path("../from/")})
    for (const bool overwrite : {false, true}) {
      const std::string text = error_text([&] { write_into({out, overwrite, {from}}); });
      EXPECT_NE(text.find("which must not be changed"), std::string::npos) << out << text;
    }
  EXPECT_EQ(content_of(from / "config.json"), "{}");
  write_into({"beside", false, {from}});
  EXPECT_EQ(content_of(from / "beside/config.json"), "new");
}

TEST(ModelFiles, AreKnownByName) {
  EXPECT_EQ(model_file_kind("config.json"), ModelFileKind::kConfig);
  EXPECT_EQ(model_file_kind("model.safetensors"), ModelFileKind::kWeights);
  EXPECT_EQ(model_file_kind("pytorch_model-00001-of-00002.bin"), ModelFileKind::kWeights);
  EXPECT_EQ(model_file_kind("qwen.tiktoken"), ModelFileKind::kTokenizer);
  EXPECT_EQ(model_file_kind("lathe.manifest.json"), ModelFileKind::kManifest);
  for (const char* other : {"config.json.bak", "a.txt", "model.bin", "", "my-model.safetensors"})
    EXPECT_EQ(model_file_kind(other), std::nullopt) << other;
}

}  // namespace
}  // namespace lathe
