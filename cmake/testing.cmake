# kiln_test(NAME SOURCE LIBS...)  a cmocka program, run by ctest.  (The time limits are for tests that
#   hang: on a busy machine some need minutes.)
# kiln_script_test(NAME COMMAND...)  a script; it finds the binary in $KILN.
# kiln_fuzzer(NAME SOURCE CORPUS LIBS...)  a libFuzzer target in the fuzz preset; in every other
#   build the same source replays CORPUS (every file in it) as a test.
# kiln_list_fuzzers()  after all of them: BUILD/fuzzers says what they are, for tests/fuzz/campaign.
# kiln_postgres_test(NAME)  the same program once more as NAME_postgres, with its state on a PostgreSQL
#   server that ctest starts for such tests (tests/postgres).
enable_testing()

# Sockets have short names, and build directories may not.
string(MD5 KILN_POSTGRES "${PROJECT_BINARY_DIR}")
string(SUBSTRING "${KILN_POSTGRES}" 0 8 KILN_POSTGRES)
set(KILN_POSTGRES /tmp/kiln-postgres-${KILN_POSTGRES})

function(kiln_test name source)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE ${ARGN} PkgConfig::cmocka)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 900
        ENVIRONMENT "KILN_SOURCE=${PROJECT_SOURCE_DIR}")
endfunction()

function(kiln_postgres_test name)
    add_test(NAME ${name}_postgres COMMAND ${name})
    set_tests_properties(${name}_postgres PROPERTIES TIMEOUT 300 FIXTURES_REQUIRED postgres
        ENVIRONMENT "KILN_SOURCE=${PROJECT_SOURCE_DIR};\
KILN_TEST_DATABASE=postgresql:///kiln?host=${KILN_POSTGRES}&user=kiln")
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
        set_property(GLOBAL APPEND_STRING PROPERTY KILN_FUZZERS "$<TARGET_FILE:${name}>\t${corpus}\n")
    else()
        add_executable(${name} ${source} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
        add_test(NAME ${name} COMMAND ${name} ${corpus})
        set_tests_properties(${name} PROPERTIES TIMEOUT 300)
    endif()
    target_link_libraries(${name} PRIVATE ${ARGN})
endfunction()

function(kiln_list_fuzzers)
    get_property(fuzzers GLOBAL PROPERTY KILN_FUZZERS)
    file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/fuzzers CONTENT "${fuzzers}")
endfunction()
