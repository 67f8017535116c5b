// Replaces all of TTBR1's tables. The old and the new tables map the same addresses by blocks and pages of different
// sizes, so break-before-make applies to the whole half: from the first ISB to the last one nothing is mapped there,
// and this code runs through TTBR0's identity map. Arm ARM DDI 0487, D8.16.1 "Break-before-make".
.section .idmap.text, "ax"

// switch_tables(new: root PA, empty: root PA). At its physical address; the caller masks all exceptions.
.global switch_tables
switch_tables:
    msr     ttbr1_el1, x1
    isb
    tlbi    vmalle1
    dsb     nsh
    isb
    msr     ttbr1_el1, x0
    isb
    ret
