// Corpora of a size and shape that tests inside one process cannot see.

#include "life/program.h"

namespace lathe::testing {
namespace {

// Each file once cost a buffer of a mebibyte for as long as its batch lasted.
TEST_F(Life, MemoryFollowsTheTextNotTheNumberOfFiles) {
  for (int i = 0; i < 2000; ++i)
    folder_.write(fmt::format("many/{}.txt", i), fmt::format("File number {}.\n", i));
  const Finished tokenizer = lathe({"tokenizer", "train", at("many"), "--vocab-size", "300",
                                    "--special-token", "<|endoftext|>", "--out", at("tok")});
  ASSERT_EQ(tokenizer.code, 0) << tokenizer.err;
  const Finished shard =
      lathe({"shard", at("many"), "--tokenizer", at("tok"), "--out", at("data"), "--json"});
  ASSERT_EQ(shard.code, 0) << shard.err;
  EXPECT_EQ(nlohmann::json::parse(shard.out)["documents"], 2000);
#ifndef __SANITIZE_ADDRESS__
  EXPECT_LT(tokenizer.peak_kib, 100 << 10);
  EXPECT_LT(shard.peak_kib, 100 << 10);
#endif
}

// A pipe can neither be rewound nor read twice.
TEST_F(Life, TextFromAPipe) {
  prepare();
  const std::string pipe = at("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  Program shard(folder_.path(), {"shard", pipe, "--tokenizer", at("tok"), "--out", at("piped"),
                                 "--split", "blank-lines"});
  std::ofstream(pipe) << content_of(at("text.txt"));
  const Finished f = shard.wait();
  ASSERT_EQ(f.code, 0) << f.err;
  EXPECT_EQ(content_of(at("piped.bin")), content_of(at("data.bin")));
  EXPECT_EQ(content_of(at("piped.idx")), content_of(at("data.idx")));
  Program train(folder_.path(), {"tokenizer", "train", pipe, "--vocab-size", "300",
                                 "--special-token", "<|endoftext|>", "--out", at("again")});
  std::ofstream(pipe) << content_of(at("text.txt"));
  const Finished t = train.wait();
  ASSERT_EQ(t.code, 0) << t.err;
  EXPECT_EQ(content_of(at("again/tokenizer.json")), content_of(at("tok/tokenizer.json")));
}

// What an earlier split made stays whole when the new shard does not fit on the disk.
TEST_F(Life, AFullDiskLosesNoValidationPart) {
  prepare();
  expect_works({"shard", at("text.txt"), "--tokenizer", at("tok"), "--out", at("data"), "--split",
                "blank-lines", "--val-fraction", "0.3"});
  const std::vector<std::string> names = {"data.bin", "data.idx", "data-valid.bin",
                                          "data-valid.idx", "data-valid.manifest.json"};
  std::vector<std::string> before;
  for (const std::string& name : names) before.push_back(content_of(at(name)));
  const Finished f = lathe({"shard", at("text.txt"), "--tokenizer", at("tok"), "--out", at("data"),
                            "--split", "blank-lines"},
                           {.largest_file = 1000});
  expect_error(f, 1, {"cannot be written"});
  for (size_t i = 0; i < names.size(); ++i) EXPECT_EQ(content_of(at(names[i])), before[i]);
}

}  // namespace
}  // namespace lathe::testing
