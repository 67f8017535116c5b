# timeout(1) for systems without it: perl timeout.pl SECONDS COMMAND...; exit status 124 when the time ran out.
use strict;
use warnings;

my $seconds = shift @ARGV;
my $child = fork // die "fork: $!\n";
if ($child == 0) {
    exec { $ARGV[0] } @ARGV;
    warn "$ARGV[0]: $!\n";
    exit 127;
}

my $late = 0;
# The second alarm is for a child that does not end on TERM.
$SIG{ALRM} = sub { kill($late ? 'KILL' : 'TERM', $child); $late = 1; alarm 5; };
# Ctrl-C goes to the child as well; its status is what counts.
$SIG{INT} = 'IGNORE';
alarm $seconds;
1 while waitpid($child, 0) < 0 && $!{EINTR};
exit 124 if $late;
exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
