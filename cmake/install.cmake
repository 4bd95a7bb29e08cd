# `cmake --install BUILD` and `cmake --build BUILD --target uninstall`.

if(TARGET knockout)
    install(TARGETS knockout RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
foreach(name README.md LICENSE CHANGELOG.md DATA.md THIRD_PARTY.md)
    if(EXISTS ${PROJECT_SOURCE_DIR}/${name})
        install(FILES ${name} DESTINATION ${CMAKE_INSTALL_DOCDIR})
    endif()
endforeach()
foreach(folder analysis slurm)
    if(EXISTS ${PROJECT_SOURCE_DIR}/${folder})
        install(DIRECTORY ${folder} DESTINATION ${CMAKE_INSTALL_DATADIR}/knockout
            USE_SOURCE_PERMISSIONS PATTERN "__pycache__" EXCLUDE)
    endif()
endforeach()
foreach(folder jobs/paper jobs/controls)
    install(DIRECTORY ${folder} DESTINATION ${CMAKE_INSTALL_DATADIR}/knockout/jobs)
endforeach()
# The command that draws, as a link to where its package lies.
install(CODE "
    set(bin \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
    file(RELATIVE_PATH target \"\${bin}\"
        \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/knockout/analysis/knockout-figures\")
    file(MAKE_DIRECTORY \"\$ENV{DESTDIR}\${bin}\")
    file(CREATE_LINK \"\${target}\" \"\$ENV{DESTDIR}\${bin}/knockout-figures\" SYMBOLIC)
    list(APPEND CMAKE_INSTALL_MANIFEST_FILES \"\${bin}/knockout-figures\")
    message(STATUS \"Installing: \$ENV{DESTDIR}\${bin}/knockout-figures\")")

add_custom_target(uninstall
    COMMAND ${CMAKE_COMMAND} -DMANIFEST=${PROJECT_BINARY_DIR}/install_manifest.txt
        -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake
    COMMENT "Removing what was installed" VERBATIM)
