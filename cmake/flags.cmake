# How everything is compiled.  kiln_library(NAME SOURCES...) is the one way to add a folder.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(KILN_WERROR "warnings are errors" OFF)
option(KILN_FUZZ "build the fuzzers with libFuzzer (needs clang)" OFF)
set(KILN_SANITIZE "" CACHE STRING "sanitizers for the whole build, as in -fsanitize=")

add_library(kiln_flags INTERFACE)
target_compile_definitions(kiln_flags INTERFACE _GNU_SOURCE KILN_VERSION="${PROJECT_VERSION}")
target_include_directories(kiln_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(kiln_flags INTERFACE -Wall -Wextra -Wshadow -Wvla
    -fstack-protector-strong -fno-strict-aliasing -fno-common
    $<$<COMPILE_LANGUAGE:C>:-Wconversion -Wmissing-prototypes -Wstrict-prototypes>
    $<$<BOOL:${KILN_WERROR}>:-Werror>)

if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_options(kiln_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
# A library of which a program uses nothing is not loaded when that starts.
add_link_options(-Wl,--as-needed)
if(KILN_SANITIZE)
    add_compile_options(-fsanitize=${KILN_SANITIZE} -fno-sanitize-recover=all
                        -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${KILN_SANITIZE})
endif()
if(KILN_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

function(kiln_library name)
    add_library(kiln_${name} STATIC ${ARGN})
    target_link_libraries(kiln_${name} PUBLIC kiln_flags)
endfunction()
