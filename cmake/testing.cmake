# kiln_test(NAME SOURCE LIBS...)  a cmocka program, run by ctest.  (The time limits are for tests that
#   hang: on a busy machine some need minutes.)
# kiln_script_test(NAME COMMAND...)  a script; it finds the binary in $KILN.
# kiln_fuzzer(NAME SOURCE CORPUS LIBS...)  a libFuzzer target in the fuzz preset; in every other
#   build the same source replays CORPUS (every file in it) as a test.
enable_testing()

function(kiln_test name source)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE ${ARGN} PkgConfig::cmocka)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 900
        ENVIRONMENT "KILN_SOURCE=${PROJECT_SOURCE_DIR}")
endfunction()

function(kiln_script_test name)
    add_test(NAME ${name} COMMAND ${ARGN})
    set_tests_properties(${name} PROPERTIES TIMEOUT 900
        ENVIRONMENT "KILN=$<TARGET_FILE:kiln>;KILN_SOURCE=${PROJECT_SOURCE_DIR}")
endfunction()

function(kiln_fuzzer name source corpus)
    if(KILN_FUZZ)
        add_executable(${name} ${source})
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    else()
        add_executable(${name} ${source} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
        add_test(NAME ${name} COMMAND ${name} ${corpus})
        set_tests_properties(${name} PROPERTIES TIMEOUT 300)
    endif()
    target_link_libraries(${name} PRIVATE ${ARGN})
endfunction()
