# What every layer's CMakeLists.txt uses.
#
#   lathe_layer(NAME [COLD] DEPENDS base tensor … LIBRARIES fmt::fmt …)
#     one static library lathe_NAME from every .cc below the folder (isa/ folders excepted: they are
#     compiled once per instruction-set level by the layer itself), linked to the lower layers that it uses. COLD is a layer that
#     spends its time in lower ones: it is compiled with -O1, which takes a third less time.
#   lathe_embed(LAYER FUNCTION NAME HEADER lathe/… FOLDER DIR [ENDING .toml])
#     the files of a folder (those with this ending) as texts of the program: NAME(), which HEADER declares, returns them.
#   lathe_layers(VARIABLE [BELOW NAME])
#     the folders that src/lathe/layers.txt lists, lowest first; only those before NAME.
#   lathe_test(NAME [IN_MEMORY] [LONG])
#     one test program NAME_tests from tests/NAME/*_test.cc, whose suites are tests of ctest; those of files that end
#     in _slow_test.cc get the label `slow`, all others `fast`, or `long` where together they take more than some
#     seconds: fast ones are for every change. IN_MEMORY keeps temporary files in memory where the machine can: tests
#     that save many small folders would mostly wait for the disk.

add_library(lathe_flags INTERFACE)
target_compile_options(lathe_flags INTERFACE -Wall -Wextra -Wshadow -Werror -fno-math-errno -ffp-contract=off)
target_include_directories(lathe_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
if(LATHE_SANITIZE)
  # A finding ends the program: nobody reads a report among the lines of a test that passed.
  set(sanitize -fsanitize=${LATHE_SANITIZE} -fno-sanitize-recover=all)
  target_compile_options(lathe_flags INTERFACE ${sanitize} -fno-omit-frame-pointer -g1)
  target_link_options(lathe_flags INTERFACE ${sanitize})
endif()
if(LATHE_FUZZ)
  target_compile_options(lathe_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Headers that most sources include and that take longer to read than the source itself, compiled once. Sources still
# include what they use: builds with sanitizers and other compilers do without (LATHE_PCH=OFF).
if(LATHE_PCH)
  add_library(lathe_pch STATIC ${CMAKE_CURRENT_LIST_DIR}/pch/empty.cc)
  target_link_libraries(lathe_pch PUBLIC lathe_flags fmt::fmt OpenMP::OpenMP_CXX)
  target_precompile_headers(lathe_pch PRIVATE ${CMAKE_CURRENT_LIST_DIR}/pch/lathe.h)
  if(LATHE_TESTS)
    add_library(lathe_test_pch STATIC ${CMAKE_CURRENT_LIST_DIR}/pch/empty.cc)
    target_link_libraries(lathe_test_pch PUBLIC lathe_pch GTest::gtest)
    target_precompile_headers(lathe_test_pch PRIVATE ${CMAKE_CURRENT_LIST_DIR}/pch/tests.h)
  endif()
endif()

function(lathe_layers variable)
  cmake_parse_arguments(ARG "" "BELOW" "" ${ARGN})
  set(list ${CMAKE_SOURCE_DIR}/src/lathe/layers.txt)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${list})
  file(STRINGS ${list} lines REGEX "^[0-9]")
  set(layers)
  foreach(line ${lines})
    string(REGEX REPLACE "^[0-9]+ ([a-z_0-9]+).*$" "\\1" layer "${line}")  # `cli/frame` is a part of `cli`
    if(layer STREQUAL "${ARG_BELOW}")
      break()
    endif()
    list(APPEND layers ${layer})
  endforeach()
  list(REMOVE_DUPLICATES layers)
  set(${variable} ${layers} PARENT_SCOPE)
endfunction()

function(lathe_use_pch target from)
  if(LATHE_PCH)
    target_precompile_headers(${target} REUSE_FROM ${from})
  endif()
endfunction()

function(lathe_layer name)
  cmake_parse_arguments(ARG "COLD" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cc)
  list(FILTER sources EXCLUDE REGEX "/isa/")
  add_library(lathe_${name} STATIC ${sources})
  target_link_libraries(lathe_${name} PUBLIC lathe_flags OpenMP::OpenMP_CXX)
  foreach(lower ${ARG_DEPENDS})
    target_link_libraries(lathe_${name} PUBLIC lathe_${lower})
  endforeach()
  target_link_libraries(lathe_${name} PUBLIC ${ARG_LIBRARIES} fmt::fmt)
  if(ARG_COLD)
    target_compile_options(lathe_${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  endif()
  lathe_use_pch(lathe_${name} lathe_pch)
endfunction()

function(lathe_embed layer)
  cmake_parse_arguments(ARG "" "FUNCTION;HEADER;FOLDER;ENDING" "" ${ARGN})
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_FOLDER})
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${ARG_FUNCTION}.cc)
  set(script ${CMAKE_SOURCE_DIR}/cmake/embed_texts.cmake)
  file(GLOB texts CONFIGURE_DEPENDS ${folder}/*${ARG_ENDING})
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DFUNCTION=${ARG_FUNCTION} -DHEADER=${ARG_HEADER} -DFOLDER=${folder}
            -DENDING=${ARG_ENDING} -P ${script}
    DEPENDS ${texts} ${script} VERBATIM)
  target_sources(lathe_${layer} PRIVATE ${output})
endfunction()

function(lathe_test_program target label layer)
  if(NOT ARGN)
    return()
  endif()
  add_executable(${target} ${ARGN})
  target_link_libraries(${target} PRIVATE lathe_${layer} lathe_test_paths GTest::gtest GTest::gtest_main)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)  # most of a test's time is spent in the library
  lathe_use_pch(${target} lathe_test_pch)
  # Threads that wait by spinning take the processor from other tests.
  set(environment ENVIRONMENT OMP_WAIT_POLICY=passive)
  if(LATHE_TEST_IN_MEMORY AND IS_DIRECTORY /dev/shm)
    list(APPEND environment ENVIRONMENT_MODIFICATION TMPDIR=set:/dev/shm)
  endif()
  set(timeout 900)
  if(LATHE_SANITIZE)
    set(timeout 3600)  # of a suite of a thousand cases
  endif()
  set(suites ${CMAKE_CURRENT_BINARY_DIR}/${target}_suites.cmake)
  file(GENERATE OUTPUT ${suites} CONTENT "set(program [[$<TARGET_FILE:${target}>]])
set(label ${label})
set(timeout ${timeout})
set(environment ${environment})
include([[${CMAKE_SOURCE_DIR}/cmake/test_suites.cmake]])
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${suites})
endfunction()

function(lathe_test name)
  cmake_parse_arguments(LATHE_TEST "IN_MEMORY;LONG" "" "" ${ARGN})
  set(label fast)
  if(LATHE_TEST_LONG)
    set(label long)
  endif()
  file(GLOB all CONFIGURE_DEPENDS *_test.cc)
  set(slow ${all})
  list(FILTER slow INCLUDE REGEX "_slow_test.cc$")
  list(FILTER all EXCLUDE REGEX "_slow_test.cc$")
  lathe_test_program(${name}_tests ${label} ${name} ${all})
  lathe_test_program(${name}_slow_tests slow ${name} ${slow})
endfunction()
