// Single accesses that may fault, at EL1's or (LDTR, STTR) EL0's permissions. A fault makes the exception handler
// continue at probe_fault with ESR_EL1 in x0. All are leaf functions.
.section .text.probe, "ax"
.global probe_start
probe_start:
.global probe_load
probe_load:
    ldr     x2, [x0]
    b       1f
.global probe_store
probe_store:
    str     x2, [x0]
    b       1f
.global probe_load_user
probe_load_user:
    ldtr    x2, [x0]
    b       1f
.global probe_store_user
probe_store_user:
    sttr    x2, [x0]
1:  cbz     x1, 2f
    str     x2, [x1]
2:  mov     x0, xzr
    ret
.global probe_end
probe_end:

// probe_call(address) -> 0, or ESR_EL1: calls code that only returns, if it may be executed at all. The fetch faults
// at the address itself, so the handler knows it by the return address.
.global probe_call
probe_call:
    stp     x29, x30, [sp, #-16]!
    mov     x29, sp
    blr     x0
.global probe_call_return
probe_call_return:
    mov     x0, xzr
.global probe_call_fault
probe_call_fault:
    ldp     x29, x30, [sp], #16
    ret

.global probe_fault
probe_fault:
    ret
