# kiln_embed(TARGET FILE SYMBOL)  compiles a file into a target: `const char SYMBOL[]`, which ends
#   with a 0 byte that is not the file's.
# The same file, run as a script with INPUT, OUTPUT and SYMBOL, writes the C source.
if(CMAKE_SCRIPT_MODE_FILE)
    file(READ "${INPUT}" bytes HEX)
    string(REGEX REPLACE "(..)" "'\\\\x\\1'," bytes "${bytes}")
    string(REPLACE "'\\x0a'," "'\\n',\n" bytes "${bytes}") # a line for a line
    file(WRITE "${OUTPUT}"
        "extern const char ${SYMBOL}[];\nconst char ${SYMBOL}[] = {\n${bytes}0};\n")
    return()
endif()

set(KILN_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(kiln_embed target file symbol)
    set(source ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
    add_custom_command(OUTPUT ${source}
        COMMAND ${CMAKE_COMMAND} -DINPUT=${CMAKE_CURRENT_SOURCE_DIR}/${file} -DOUTPUT=${source}
            -DSYMBOL=${symbol} -P ${KILN_EMBED_SCRIPT}
        DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file} ${KILN_EMBED_SCRIPT}
        VERBATIM)
    target_sources(${target} PRIVATE ${source})
endfunction()
