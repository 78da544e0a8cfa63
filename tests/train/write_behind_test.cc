// Checkpoints written behind the training that goes on: the bits of one written while nothing else
// happens, and errors that arrive where the owner looks.

#include "lathe/train/write_behind.h"

#include <chrono>
#include <semaphore>
#include <thread>

#include "lathe/io/hash.h"
#include "train/run.h"

namespace lathe::testing {
namespace {

// Holds the writing thread at one part until it is let go.
class Gate {
 public:
  explicit Gate(std::string part) : part_(std::move(part)) {}
  void pass(std::string_view part) {
    if (part != part_) return;
    reached_.release();
    EXPECT_TRUE(opened_.try_acquire_for(std::chrono::minutes(1))) << "nobody opened " << part_;
  }
  void wait_until_reached() {
    ASSERT_TRUE(reached_.try_acquire_for(std::chrono::minutes(1))) << "nobody came to " << part_;
  }
  void open() { opened_.release(); }

 private:
  std::string part_;
  std::binary_semaphore reached_{0}, opened_{0};
};

class Behind : public ::testing::Test {
 protected:
  using OnPart = std::function<void(std::string_view part)>;

  CheckpointOptions options(OnPart on_part, int64_t keep_last = 0) {
    CheckpointOptions o;
    o.keep_last = keep_last;
    o.on_part = std::move(on_part);
    return o;
  }
  CheckpointContent content() { return {{as_it_is("w", weight_)}, {as_it_is("m", moment_)}}; }
  fs::path at(const std::string& name) const { return folder_ / name; }
  void change_tensors() {
    for (Tensor* t : {&weight_, &moment_})
      for (float& value : t->span<float>()) value = -value - 1;
  }
  // Name and bytes of every file of a folder and below.
  static std::map<std::string, std::string> files(const fs::path& folder) {
    std::map<std::string, std::string> all;
    for (const auto& e : fs::recursive_directory_iterator(folder))
      if (e.is_regular_file())
        all[e.path().lexically_relative(folder).string()] = content_of(e.path());
    return all;
  }

  TempFolder folder_;
  // Large enough that the file is written before its end is read.
  Tensor weight_ = Tensor::of<float>(std::vector<float>(1 << 20, 0.5f), {1 << 20});
  Tensor moment_ = Tensor::of<float>(std::vector<float>(1000, 0.25f), {1000});
};

TEST_F(Behind, TensorsMayChangeOnceTheyWereRead) {
  CheckpointStore at_once(at("at_once"));
  at_once.save(1, content(), Json{{"updates", 1}});
  at_once.finish();

  Gate gate("state.json");
  CheckpointStore behind(at("behind"), options([&](std::string_view part) { gate.pass(part); }));
  Json state = {{"updates", 1}};
  behind.save(1, content(), state);
  state["updates"] = 2;
  behind.wait_until_read();
  change_tensors();
  gate.wait_until_reached();
  EXPECT_TRUE(behind.steps().empty());  // read, and nothing durable
  gate.open();
  behind.finish();
  const auto written = files(at("behind"));
  EXPECT_EQ(written.size(), 3u);
  EXPECT_EQ(written, files(at("at_once")));
  const fs::path model = behind.path_of(1) / "model.safetensors";
  EXPECT_EQ(Json::parse(content_of(behind.path_of(1) / "state.json"))["files"]["model.safetensors"],
            hash_file(model));
}

TEST_F(Behind, SavingReturnsBeforeAnythingWasRead) {
  Gate gate("w");
  CheckpointStore store(at("c"), options([&](std::string_view part) { gate.pass(part); }));
  store.save(1, content(), Json::object());
  gate.wait_until_reached();
  EXPECT_TRUE(store.steps().empty());
  gate.open();
  store.finish();
  EXPECT_EQ(store.steps(), (std::vector<int64_t>{1}));
}

TEST_F(Behind, ASecondWriteBeginsAfterTheFirstHasEnded) {
  std::vector<std::string> parts;  // of the writing threads, of which there is one at a time
  CheckpointStore store(at("c"), options([&](std::string_view part) { parts.emplace_back(part); }));
  for (int64_t step : {1, 2, 3}) store.save(step, content(), Json::object());
  store.finish();
  const std::vector<std::string> one = {"w", "m", "state.json"};
  ASSERT_EQ(parts.size(), 9u);
  for (size_t i = 0; i < parts.size(); ++i) EXPECT_EQ(parts[i], one[i % 3]);
  EXPECT_EQ(store.steps(), (std::vector<int64_t>{1, 2, 3}));
}

TEST_F(Behind, DestructionWaitsUntilItIsDurable) {
  Gate gate("m");
  std::thread opener;
  {
    CheckpointStore store(at("c"), options([&](std::string_view part) { gate.pass(part); }));
    store.save(1, content(), Json::object());
    gate.wait_until_reached();
    opener = std::thread([&] { gate.open(); });
  }
  opener.join();
  EXPECT_EQ(CheckpointStore(at("c")).steps(), (std::vector<int64_t>{1}));
}

TEST_F(Behind, OldOnesAreRemovedOnceTheNewOneIsThere) {
  Gate gate("state.json");
  bool held = false, broken = false;
  const auto on_part = [&](std::string_view part) {
    if (held) gate.pass(part);
    require(!broken, ErrorKind::kIo, "disk", "full");
  };
  CheckpointStore store(at("c"), options(on_part, /*keep_last=*/1));
  store.save(1, content(), Json::object());
  store.finish();
  held = true;
  store.save(2, content(), Json::object());
  gate.wait_until_reached();
  EXPECT_EQ(store.steps(), (std::vector<int64_t>{1}));
  gate.open();
  store.finish();
  EXPECT_EQ(store.steps(), (std::vector<int64_t>{2}));
  held = false;
  broken = true;
  store.save(3, content(), Json::object());
  EXPECT_EQ(error_text([&] { store.finish(); }), "[disk] full");
  EXPECT_EQ(store.steps(), (std::vector<int64_t>{2}));
  EXPECT_EQ(entries_in(at("c")), 1u);  // no temporary either
}

TEST_F(Behind, AnErrorWhileReadingComesWithTheWait) {
  bool broken = false;
  CheckpointStore store(at("c"), options([&](std::string_view part) {
                          require(!broken || part != "m", ErrorKind::kIo, "disk", "full");
                        }));
  store.save(1, content(), Json::object());
  store.finish();
  const auto before = files(at("c"));
  broken = true;
  store.save(2, content(), Json::object());
  EXPECT_EQ(error_text([&] { store.wait_until_read(); }), "[disk] full");
  EXPECT_EQ(error_text([&] { store.wait_until_read(); }), "no error");
  EXPECT_EQ(files(at("c")), before);
  broken = false;
  store.save(2, content(), Json::object());
  store.finish();
  EXPECT_EQ(store.steps(), (std::vector<int64_t>{1, 2}));
}

TEST_F(Behind, AnErrorAfterReadingComesWithTheNextLook) {
  for (int look = 0; look < 3; ++look) {
    CheckpointStore store(at("c"), options([&](std::string_view part) {
                            require(part != "state.json", ErrorKind::kIo, "disk", "full");
                          }));
    store.save(1, content(), Json::object());
    const std::string text = error_text([&] {
      if (look == 0) store.save(2, content(), Json::object());
      if (look == 1) store.finish();
      if (look == 2) store.load_newest(Log(), [&](const Json&) { return content(); });
    });
    EXPECT_EQ(text, "[disk] full") << look;
    EXPECT_EQ(error_text([&] { store.finish(); }), "no error") << look;
    EXPECT_TRUE(store.steps().empty());
  }
}

TEST_F(Behind, WhatIsNotContiguousIsRefusedInTheCall) {
  CheckpointStore store(at("c"));
  Tensor wide = Tensor::of<float>(std::vector<float>(6, 1.0f), {2, 3}).transpose(0, 1);
  EXPECT_NE(error_text([&] {
              store.save(1, {{as_it_is("w", wide)}, {}}, Json::object());
            }).find("'w' is not contiguous"),
            std::string::npos);
  store.finish();
  EXPECT_TRUE(store.steps().empty());
}

// Training as in TrainLoop::run(), with a writer so slow that the steps would overtake it.
class TrainingBehind : public Run {
 protected:
  // The checkpoints of all steps; `each` runs after save_checkpoint().
  std::map<std::string, std::string> checkpoints(
      const Recipe& r, const std::function<void(TrainLoop&)>& each,
      const std::function<void(std::string_view part)>& on_part = {}) {
    TrainCallbacks callbacks;
    callbacks.on_checkpoint_part = on_part;
    {
      TrainLoop loop(r, callbacks);
      for (int64_t s = 1; s <= r.train.steps; ++s) {
        loop.step(s);
        loop.save_checkpoint(s);
        each(loop);
      }
    }
    std::map<std::string, std::string> all;
    for (int64_t s : CheckpointStore(out() / "checkpoints").steps())
      for (const char* file : {"model.safetensors", "optimizer.safetensors", "state.json"})
        all[checkpoint_name(s) + "/" + file] = content_of(checkpoint(s) / file);
    start_over();
    return all;
  }
};

constexpr const char* kPatches[] = {
    "{}",
    R"({"train": {"precision": "bf16", "ema_decay": 0.9}})",
    R"({"optim": {"name": "muon"}, "train": {"ema_decay": 0.9}})",
    R"({"optim": {"name": "adafactor"}})",
    R"({"model": {"model_type": "lathe", "moe": {"num_experts": 4, "router": "sigmoid"}}})",
};

void sleep_ms(int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// Longer than a step of so small a model: without the wait it would update what is not yet read.
TEST_F(TrainingBehind, WritesWhatIsWrittenWhileNothingElseHappens) {
  for (const char* patch : kPatches) {
    const Recipe r = recipe(patch);
    const auto at_once = checkpoints(r, [](TrainLoop& t) { t.finish_checkpoint(); });
    EXPECT_EQ(at_once.size(), static_cast<size_t>(3 * r.train.steps));
    const auto slowly = [](std::string_view part) {
      sleep_ms(part == "model.embed_tokens.weight" ? 20 : 0);
    };
    EXPECT_EQ(checkpoints(
                  r, [](TrainLoop&) {}, slowly),
              at_once)
        << patch;
  }
}

// Without the wait some of the parts would be read while averages are in their place.
TEST_F(TrainingBehind, AveragesComeIntoPlaceOnceTheWeightsWereRead) {
  const Recipe r = recipe(R"({"train": {"ema_decay": 0.9}})");
  const auto at_once = checkpoints(r, [](TrainLoop& t) { t.finish_checkpoint(); });
  const auto evaluate_often = [](TrainLoop& t) {
    for (int i = 0; i < 10; ++i) t.evaluate(1);
  };
  EXPECT_EQ(checkpoints(r, evaluate_often, [](std::string_view) { sleep_ms(1); }), at_once);
}

// Of a run that ends well, and of one that is stopped: everything is durable then, and pruned.
TEST_F(TrainingBehind, ARunEndsWhenItsCheckpointIsDurable) {
  TrainCallbacks callbacks = stopping_after(4);
  callbacks.on_checkpoint_part = [](std::string_view part) {
    if (part == "state.json") std::this_thread::sleep_for(std::chrono::milliseconds(20));
  };
  TrainLoop loop(recipe(R"({"train": {"keep_last": 2}})"), callbacks);
  EXPECT_NE(error_text([&] { loop.run(TrainLoop::Start::kFresh); }).find("after step 4 of 6"),
            std::string::npos);
  const CheckpointStore store(out() / "checkpoints");
  EXPECT_EQ(store.steps(), (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(entries_in(out() / "checkpoints"), 2u);
  TrainLoop(recipe(R"({"train": {"keep_last": 2}})")).run(TrainLoop::Start::kResume);
  EXPECT_EQ(store.steps(), (std::vector<int64_t>{5, 6}));
}

TEST_F(TrainingBehind, AFailedWriteEndsTheRun) {
  for (const char* where : {"model.embed_tokens.weight", "state.json"}) {
    log_.clear();
    TrainCallbacks callbacks = logging();
    int writes = 0;
    callbacks.on_checkpoint_part = [&](std::string_view part) {
      if (part == where && ++writes == 2) fail(ErrorKind::kIo, "disk", "full");
    };
    TrainLoop loop(recipe(), callbacks);
    EXPECT_EQ(error_text([&] { loop.run(TrainLoop::Start::kFresh); }), "[disk] full");
    // The second try to save the last step finds room.
    const std::vector<int64_t> steps = CheckpointStore(out() / "checkpoints").steps();
    ASSERT_EQ(steps.size(), 2u);
    EXPECT_EQ(log_, fmt::format("step {} is saved; --resume continues from there\n", steps[1]));
    EXPECT_EQ(entries_in(out() / "checkpoints"), 2u);
    EXPECT_FALSE(fs::exists(out() / "model"));
    start_over();
  }
}

TEST_F(TrainingBehind, AFailedWriteIsNamedBesideAnotherEnd) {
  TrainCallbacks callbacks = logging();
  Gate gate("state.json");
  bool first = true;
  callbacks.on_checkpoint_part = [&](std::string_view part) {
    if (first) gate.pass(part);
    first = first && part != "state.json";
    require(part != "state.json", ErrorKind::kIo, "disk", "full");
  };
  callbacks.on_step = [&](const StepReport& r) {
    if (r.step == 1) return;
    gate.open();
    fail(ErrorKind::kData, "display", "gone");
  };
  TrainLoop loop(recipe(), callbacks);
  EXPECT_EQ(error_text([&] { loop.run(TrainLoop::Start::kFresh); }), "[display] gone");
  EXPECT_EQ(log_,
            "the newest checkpoint could not be written: [disk] full\n"
            "step 2 could not be saved: [disk] full\n");
}

}  // namespace
}  // namespace lathe::testing
