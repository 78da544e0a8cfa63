#include "lathe/io/atomic_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "io/temp_folder.h"
#include "lathe/io/mapped_file.h"

namespace lathe {
namespace {

TEST(AtomicFile, WritesAndReplaces) {
  const TempFolder folder;
  write_file_atomically(folder / "f", "one");
  EXPECT_EQ(content_of(folder / "f"), "one");
  ::chmod((folder / "f").c_str(), 0640);
  write_file_atomically(folder / "f", std::string(5 << 20, 'x'));
  EXPECT_EQ(content_of(folder / "f"), std::string(5 << 20, 'x'));
  struct stat info {};
  ASSERT_EQ(::stat((folder / "f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(AtomicFile, NothingHappensWithoutCommit) {
  const TempFolder folder;
  write_file_atomically(folder / "f", "old");
  {
    AtomicFile file(folder / "f");
    file.write("new");
    EXPECT_EQ(content_of(folder / "f"), "old");
    EXPECT_EQ(entries_in(folder.path()), 2u);
  }
  EXPECT_EQ(content_of(folder / "f"), "old");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

// Stopped after everything was made durable, before it had its name.
TEST(AtomicFile, CanBeStoppedUntilItHasItsName) {
  const TempFolder folder;
  write_file_atomically(folder / "f", "old");
  const auto stop = [] { fail(ErrorKind::kInterrupted, "test", "stopped"); };
  EXPECT_EQ(error_text([&] {
              AtomicFile file(folder / "f");
              file.write("new");
              file.commit(stop);
            }),
            "[test] stopped");
  EXPECT_EQ(content_of(folder / "f"), "old");
  EXPECT_EQ(error_text([&] { AtomicDirectory(folder / "d").commit(stop); }), "[test] stopped");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(AtomicFile, FollowsASymbolicLink) {
  const TempFolder folder;
  write_file_atomically(folder / "target", "old");
  std::filesystem::create_symlink("target", folder / "link");
  write_file_atomically(folder / "link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(content_of(folder / "target"), "new");
}

TEST(AtomicFile, FullDeviceIsNamedWithAdvice) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  const std::string text =
      error_text([] { write_file_atomically("/dev/full", std::string(3 << 20, 'x')); });
  EXPECT_TRUE(
      text.starts_with("[/dev/full] cannot be written: No space left on device; free space"))
      << text;
}

// A file size limit makes the kernel write a part and then refuse: the short write of a full disk.
TEST(AtomicFile, AFailedWriteLeavesTheOldFileAndNoTemporary) {
  const TempFolder folder;
  write_file_atomically(folder / "f", "old content");
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  rlimit limit = old_limit;
  limit.rlim_cur = 1'500'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const std::string text =
      error_text([&] { write_file_atomically(folder / "f", std::string(4'000'000, 'x')); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  ::signal(SIGXFSZ, old_handler);
  EXPECT_NE(text.find("cannot be written: File too large; raise the file size limit"),
            std::string::npos)
      << text;
  EXPECT_EQ(content_of(folder / "f"), "old content");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(AtomicFile, UnusablePaths) {
  const TempFolder folder;
  folder.write("f", "x");
  EXPECT_NE(error_text([&] { AtomicFile file(folder / "no/f"); }).find("create the folder first"),
            std::string::npos);
  EXPECT_NE(error_text([&] { AtomicFile file(folder / "f/g"); }).find("Not a directory"),
            std::string::npos);
  EXPECT_NE(error_text([&] { AtomicFile file(folder.path()); }).find("it is a folder"),
            std::string::npos);
}

TEST(AtomicDirectory, AppearsWhole) {
  const TempFolder folder;
  {
    AtomicDirectory out(folder / "a/b/model");
    write_file_atomically(out.temporary() / "x", "1");
    std::filesystem::create_directory(out.temporary() / "sub");
    write_file_atomically(out.temporary() / "sub" / "y", "2");
    EXPECT_FALSE(std::filesystem::exists(folder / "a/b/model"));
    out.commit();
  }
  EXPECT_EQ(content_of(folder / "a/b/model/sub/y"), "2");
  EXPECT_EQ(entries_in(folder / "a/b"), 1u);
}

TEST(AtomicDirectory, RefusesOrReplaces) {
  const TempFolder folder;
  folder.write("d/old", "1");
  EXPECT_NE(error_text([&] { AtomicDirectory out(folder / "d"); }).find("already exists"),
            std::string::npos);
  AtomicDirectory out(folder / "d/", AtomicDirectory::IfExists::kReplace);
  write_file_atomically(out.temporary() / "new", "2");
  EXPECT_TRUE(std::filesystem::exists(folder / "d/old"));
  out.commit();
  EXPECT_FALSE(std::filesystem::exists(folder / "d/old"));
  EXPECT_EQ(content_of(folder / "d/new"), "2");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(AtomicDirectory, SomeoneElseWasFaster) {
  const TempFolder folder;
  AtomicDirectory out(folder / "d");
  folder.write("d/theirs", "1");
  EXPECT_NE(error_text([&] { out.commit(); }).find("created by another process"),
            std::string::npos);
  EXPECT_EQ(content_of(folder / "d/theirs"), "1");
}

TEST(AtomicDirectory, LeftoversOfDeadProcessesAreFound) {
  const TempFolder folder;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    AtomicDirectory out(folder / "d");
    AtomicFile file(folder / "f");
    ::_exit(0);  // as a kill would: no destructor runs
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  AtomicFile mine(folder / "mine");  // of a living process: not a leftover
  folder.write("notes.tmp", "a user's own file");
  folder.write("x.tmp-zz-1", "not our pattern");
  EXPECT_EQ(leftover_temporaries(folder.path()).size(), 2u);
  for (const auto& path : leftover_temporaries(folder.path()))
    EXPECT_NE(path.string().find(".tmp"), std::string::npos);
  EXPECT_EQ(remove_leftovers(folder.path()), 2);
  EXPECT_EQ(entries_in(folder.path()), 3u);
  EXPECT_TRUE(leftover_temporaries(folder / "absent").empty());
}

TEST(AtomicFile, OwnTemporariesCanBeRemovedEarly) {
  const TempFolder folder;
  const std::string other = "f.tmp-00000000-1-0";
  folder.write(other, "of another process");
  folder.write("notes.tmp", "a user's own file");
  write_file_atomically(folder / "f", "old");
  {
    AtomicFile file(folder / "f");
    AtomicDirectory made(folder / "d");
    remove_own_temporaries(folder.path());
    EXPECT_EQ(entries_in(folder.path()), 3u);
  }
  EXPECT_EQ(content_of(folder / "f"), "old");
  // Two temporaries of a name that is gone: one of them is what the name held, while folders are
  // exchanged.
  AtomicDirectory one(folder / "e"), two(folder / "e");
  remove_own_temporaries(folder.path());
  EXPECT_EQ(entries_in(folder.path()), 5u);
  remove_own_temporaries(folder / "absent");
}

TEST(MappedFile, MapsAndRefuses) {
  const TempFolder folder;
  const MappedFile file(folder.write("f", "hello"));
  EXPECT_EQ(file.bytes().size(), 5u);
  EXPECT_EQ(static_cast<char>(file.bytes()[4]), 'o');
  EXPECT_TRUE(MappedFile(folder.write("empty", "")).bytes().empty());
  EXPECT_NE(error_text([&] { MappedFile m(folder / "no"); }).find("No such file"),
            std::string::npos);
  EXPECT_NE(error_text([&] { MappedFile m(folder.path()); }).find("is a directory"),
            std::string::npos);
  EXPECT_NE(error_text([&] { MappedFile m("/dev/null"); }).find("not a regular file"),
            std::string::npos);
}

TEST(ReadFile, WholeFilesAndLimits) {
  const TempFolder folder;
  const std::string big(3'000'000, 'q');
  EXPECT_EQ(read_file(folder.write("f", big)), big);
  EXPECT_EQ(read_file("/dev/null"), "");
  EXPECT_NE(error_text([&] { read_file(folder / "f", 1000); }).find("larger than"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
