# Read by ctest, not by cmake: adds the suites of one program of GoogleTest, each as one test, so that a suite of a
# thousand cases starts one process and not a thousand. lathe_test_program() (lathe.cmake) sets `program`, `label`,
# `timeout` and `environment`, a list of names and values of properties.
get_filename_component(name ${program} NAME)
if(NOT EXISTS ${program})
  add_test(${name}_is_not_built ${program})
  return()
endif()
# A program with a sanitizer takes a while to list its tests on a busy machine.
execute_process(COMMAND ${program} --gtest_list_tests OUTPUT_VARIABLE listed RESULT_VARIABLE failed TIMEOUT 60)
if(failed)
  message(FATAL_ERROR "${program} --gtest_list_tests failed (${failed}):\n${listed}")
endif()
string(REPLACE ";" "\\;" listed "${listed}")
string(REPLACE "\n" ";" listed "${listed}")
foreach(line IN LISTS listed)
  if(NOT line MATCHES "^([^ ]+)\\.( +#.*)?$")  # tests are indented
    continue()
  endif()
  set(suite ${CMAKE_MATCH_1})
  set(test ${name}.${suite})  # properties are set by name, in all folders: two programs may have a suite of one name
  add_test(${test} ${program} --gtest_filter=${suite}.*)  # not brief: after a crash the last line names the case
  set_tests_properties(${test} PROPERTIES LABELS ${label} TIMEOUT ${timeout} ${environment})
endforeach()
