#include "lathe/train/checkpoint.h"

#include "lathe/io/atomic_file.h"
#include "lathe/io/hash.h"
#include "train/run.h"

namespace lathe::testing {
namespace {

class Checkpoints : public ::testing::Test {
 protected:
  // Two tensors whose values name the step.
  CheckpointContent content(int64_t step) {
    weight_ =
        Tensor::of<float>(std::vector<float>(600, static_cast<float>(step) + 0.25f), {20, 30});
    moment_ = Tensor::of<float>(std::vector<float>(7, -static_cast<float>(step)), {7});
    return {{as_it_is("w", weight_)}, {as_it_is("adamw.m/w", moment_)}};
  }
  void save(int64_t step) {
    store_.save(step, content(step), Json{{"updates", step}});
    store_.finish();
  }
  Json load() {
    const CheckpointContent into = content(-1);
    log_.clear();
    const Log log([this](LogLevel, const std::string& text) { log_ += text + "\n"; });
    return store_.load_newest(log, [&](const Json&) { return into; });
  }
  void expect_holds(int64_t step) {
    const Json state = load();
    ASSERT_FALSE(state.is_null());
    EXPECT_EQ(state["step"], step);
    EXPECT_EQ(state["updates"], step);
    EXPECT_EQ(weight_.to_vector(), std::vector<double>(600, static_cast<double>(step) + 0.25));
    EXPECT_EQ(moment_.to_vector(), std::vector<double>(7, -static_cast<double>(step)));
  }

  TempFolder folder_;
  CheckpointStore store_{folder_ / "checkpoints"};
  Tensor weight_, moment_;
  std::string log_;
};

TEST_F(Checkpoints, TheNewestIsLoaded) {
  EXPECT_TRUE(load().is_null());
  for (int64_t step : {3, 20, 100}) save(step);
  EXPECT_EQ(store_.steps(), (std::vector<int64_t>{3, 20, 100}));
  expect_holds(100);
  EXPECT_EQ(log_, "");
  save(100);  // again: replaces
  expect_holds(100);
}

TEST_F(Checkpoints, ForeignNamesAreNoCheckpoints) {
  save(5);
  folder_.write("checkpoints/step-notes.txt", "mine");
  folder_.write("checkpoints/step-000/x", "mine");
  folder_.write("checkpoints/step-7x/x", "mine");
  folder_.write("checkpoints/step-7/x", "mine");  // save() writes eight digits
  folder_.write("checkpoints/step--0000007/x", "mine");
  folder_.write("checkpoints/best/x", "mine");
  fs::rename(folder_ / "checkpoints/step-000", folder_ / "checkpoints/step-");
  EXPECT_EQ(store_.steps(), (std::vector<int64_t>{5}));
  store_.prune(1, 0);
  EXPECT_TRUE(fs::exists(folder_ / "checkpoints/step-notes.txt"));
}

// Any damage to any file: named, and the checkpoint before is used.
TEST_F(Checkpoints, ADamagedOneIsNamedAndPassedOver) {
  save(10);
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "state.json"}) {
    save(20);
    const fs::path file = store_.path_of(20) / name;
    const std::string whole = content_of(file);
    const auto check = [&](const std::string& what) {
      SCOPED_TRACE(std::string(name) + " " + what);
      expect_holds(10);
      EXPECT_NE(log_.find("checkpoint step-00000020 cannot be used"), std::string::npos) << log_;
      EXPECT_NE(log_.find(name), std::string::npos) << log_;
      std::ofstream(file, std::ios::binary) << whole;
    };
    for (double part : {0.0, 0.01, 0.3, 0.9}) {
      truncate(file, part);
      check("cut to " + std::to_string(part));
    }
    for (size_t i = 0; i < 40; ++i) {
      const size_t at = whole.size() * i / 40;
      // A space that is another kind of space is no damage in JSON.
      if (std::isspace(static_cast<unsigned char>(whole[at])) != 0) continue;
      damage(file, at);
      check("flipped at " + std::to_string(at));
    }
    fs::remove(file);
    check("removed");
    expect_holds(20);
  }
}

// A state with a right checksum that no writer of checkpoints wrote.
TEST_F(Checkpoints, AStateWithoutItsFilesIsPassedOver) {
  save(10);
  for (const char* text :
       {R"({"step":20})", R"({"files":3})", R"({"files":{"model.safetensors":3}})",
        R"({"files":{"model.safetensors":"0"}})"}) {
    SCOPED_TRACE(text);
    save(20);
    Json state = Json::parse(text);
    state["state_hash"] = hash_text(state.dump());
    std::ofstream(store_.path_of(20) / "state.json") << state.dump();
    expect_holds(10);
    EXPECT_NE(log_.find("checkpoint step-00000020 cannot be used"), std::string::npos) << log_;
  }
}

TEST_F(Checkpoints, WhenNoneIsIntactEachIsNamed) {
  save(10);
  save(20);
  damage(store_.path_of(10) / "model.safetensors", 900);
  truncate(store_.path_of(20) / "state.json", 0.5);
  const std::string text = error_text([&] { load(); });
  for (const char* part : {"no checkpoint here is intact", "step-00000010", "step-00000020",
                           "model.safetensors", "state.json", "Delete the folder"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_EQ(store_.steps().size(), 2u);  // nothing was removed
}

TEST_F(Checkpoints, OfAnotherModelIsRefused) {
  save(1);
  const auto load_into = [&](const CheckpointContent& into) {
    return error_text([&] { store_.load_newest(Log(), [&](const Json&) { return into; }); });
  };
  const auto says = [&](const CheckpointContent& into, const std::string& part) {
    EXPECT_NE(load_into(into).find(part), std::string::npos) << load_into(into);
  };
  const CheckpointContent right = content(0);
  Tensor other({30, 20}, DType::kF32);
  says({{as_it_is("v", weight_)}, right.optimizer}, "has no tensor 'v'");
  says({{as_it_is("w", other)}, right.optimizer},
       "'w' is F32 [20, 30], this run has float32 [30, 20]");
  says({{as_it_is("w", weight_), as_it_is("v", other)}, right.optimizer},
       "holds 1 tensors, this run has 2");
}

TEST_F(Checkpoints, ARefusedStateStopsTheSearch) {
  save(1);
  save(2);
  int asked = 0;
  EXPECT_EQ(error_text([&] {
              store_.load_newest(Log(), [&](const Json&) -> CheckpointContent {
                ++asked;
                fail(ErrorKind::kConfig, "resume", "no");
              });
            }),
            "[resume] no");
  EXPECT_EQ(asked, 1);
}

TEST_F(Checkpoints, PruningKeepsTheNewestAndTheMultiples) {
  for (int64_t step : {10, 20, 30, 40, 50, 60}) save(step);
  store_.prune(2, 30);
  EXPECT_EQ(store_.steps(), (std::vector<int64_t>{30, 50, 60}));
  store_.prune(5, 0);
  EXPECT_EQ(store_.steps(), (std::vector<int64_t>{30, 50, 60}));
  store_.prune(1, 0);
  EXPECT_EQ(store_.steps(), (std::vector<int64_t>{60}));
}

TEST_F(Checkpoints, LeftoversOfDeadWritersAreRemoved) {
  store_.remove_leftovers();  // no folder yet
  save(1);
  const AtomicDirectory writing(store_.path_of(2));  // of a living process: stays
  const fs::path living = writing.temporary();
  std::string name = living.string();
  name.replace(name.rfind(fmt::format("-{}-", ::getpid())), std::string::npos, "-99999999-0");
  fs::create_directory(name);  // no process has this number: Linux counts to 4194304 at most
  EXPECT_EQ(store_.steps(), (std::vector<int64_t>{1}));
  store_.remove_leftovers();
  EXPECT_FALSE(fs::exists(name));
  EXPECT_TRUE(fs::exists(living));
  expect_holds(1);
}

TEST_F(Checkpoints, AFailedWriteLeavesWhatWasThere) {
  save(1);
  fs::create_directories(folder_ / "file");
  CheckpointStore blocked(folder_.write("plain", "not a folder"));
  blocked.save(1, content(1), Json::object());
  const std::string text = error_text([&] { blocked.finish(); });
  EXPECT_NE(text.find("plain"), std::string::npos) << text;
  EXPECT_NE(text.find("Not a directory"), std::string::npos) << text;
  EXPECT_EQ(error_text([&] { blocked.finish(); }), "no error");  // said once
  EXPECT_EQ(content_of(folder_ / "plain"), "not a folder");
  expect_holds(1);
}

}  // namespace
}  // namespace lathe::testing
