#include "lathe/io/tensorboard.h"

#include <gtest/gtest.h>

#include <cstring>

#include "event.pb.h"
#include "io/temp_folder.h"
#include "lathe/io/crc32c.h"

namespace lathe {
namespace {

// Reads TFRecord frames by the format's definition, checking both CRCs.
std::vector<proto::Event> read_events(const std::filesystem::path& path) {
  const std::string file = content_of(path);
  std::vector<proto::Event> events;
  size_t at = 0;
  while (at < file.size()) {
    uint64_t length = 0;
    uint32_t length_crc = 0, data_crc = 0;
    if (file.size() - at < 12) throw std::runtime_error("cut frame");
    std::memcpy(&length, file.data() + at, 8);
    std::memcpy(&length_crc, file.data() + at + 8, 4);
    EXPECT_EQ(length_crc, masked_crc32c(std::string_view(file).substr(at, 8)));
    if (file.size() - at < 16 + length) throw std::runtime_error("cut record");
    const std::string data = file.substr(at + 12, length);
    std::memcpy(&data_crc, file.data() + at + 12 + length, 4);
    EXPECT_EQ(data_crc, masked_crc32c(data));
    EXPECT_TRUE(events.emplace_back().ParseFromString(data));
    at += 16 + length;
  }
  return events;
}

TEST(TensorBoard, WritesReadableEvents) {
  const TempFolder folder;
  TensorBoardWriter writer(folder / "tb", 7);
  writer.scalar("train/loss", 7, 2.5);
  writer.text("sample", 8, "once \xE4\xBD\xA0 \xFF upon \xE4");
  writer.flush();
  EXPECT_TRUE(writer.path().filename().string().starts_with("events.out.tfevents."));
  const auto events = read_events(writer.path());
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_GT(events[0].wall_time(), 1.6e9);
  // Steps from 7 on that an earlier file of the folder has are not shown.
  EXPECT_EQ(events[1].session_log().status(), 1);
  EXPECT_EQ(events[1].step(), 7);
  EXPECT_EQ(events[2].step(), 7);
  EXPECT_EQ(events[2].summary().value(0).tag(), "train/loss");
  EXPECT_EQ(events[2].summary().value(0).simple_value(), 2.5f);
  const auto& text = events[3].summary().value(0);
  EXPECT_EQ(text.metadata().plugin_data().plugin_name(), "text");
  EXPECT_EQ(text.tensor().string_val(0), "once \xE4\xBD\xA0 \xEF\xBF\xBD upon \xEF\xBF\xBD");
}

TEST(TensorBoard, TheDestructorFlushesAndEachWriterHasItsFile) {
  const TempFolder folder;
  std::filesystem::path path;
  {
    TensorBoardWriter one(folder.path(), 1), two(folder.path(), 1);
    EXPECT_NE(one.path(), two.path());
    for (int i = 0; i < 5000; ++i) one.scalar("x", i, i);
    path = one.path();
  }
  EXPECT_EQ(read_events(path).size(), 5002u);
}

TEST(TensorBoard, AnUnusableFolderIsNamed) {
  const TempFolder folder;
  folder.write("f", "");
  EXPECT_NE(
      error_text([&] { TensorBoardWriter writer(folder / "f/tb", 1); }).find("cannot be written"),
      std::string::npos);
}

}  // namespace
}  // namespace lathe
