/*
 * ailurus_ort.h: what libailurus_ort exports.
 *
 * The library holds the operators of the domain `ai.ailurus` as native kernels of ONNX Runtime, 1.17 or newer. Most
 * programs need no header: they give the path of the library to their session options, in C
 *
 *     ort->RegisterCustomOpsLibrary_V2(options, "libailurus_ort.so");
 *
 * and ONNX Runtime finds `RegisterCustomOps` itself. The header is for programs that link the library. It includes
 * nothing, can be included before or after ONNX Runtime's own headers or without them, and is valid C99 and C++.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef AILURUS_ORT_H
#define AILURUS_ORT_H

/* The calling convention of ONNX Runtime's callbacks (ORT_API_CALL). */
#if defined(_WIN32)
#define AILURUS_ORT_CALL __stdcall
#else
#define AILURUS_ORT_CALL
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Types of ONNX Runtime, which its headers define. */
struct OrtSessionOptions;
struct OrtApiBase;
struct OrtStatus;

/*
 * Makes the operators known to every session that is created with these options.
 *
 *   options  session options, made by the ONNX Runtime that `api` belongs to
 *   api      what OrtGetApiBase() of that ONNX Runtime returns; it has to stay loaded as long as the process lives
 *
 * Returns a null pointer, or a status that the caller releases (OrtApi::ReleaseStatus). Its message starts with
 * `ailurus` and a code:
 *
 *   AIL0901  ONNX Runtime is older than 1.17 (ORT_NOT_IMPLEMENTED)
 *   AIL0903  ONNX Runtime refused a call, with its own words (ORT_FAIL)
 *
 * Call it once for each session options. Threads may call it at the same time, with options of their own. The first
 * call makes the operators; they are never freed, so a session may outlive its options, and the library must not be
 * unloaded while a session lives.
 */
struct OrtStatus *AILURUS_ORT_CALL RegisterCustomOps(struct OrtSessionOptions *options, const struct OrtApiBase *api);

/*
 * The version of the library, such as "0.1.0": a string that lives as long as the library and must not be freed.
 */
const char *ailurus_ort_version(void);

#ifdef __cplusplus
}
#endif

#endif /* AILURUS_ORT_H */
