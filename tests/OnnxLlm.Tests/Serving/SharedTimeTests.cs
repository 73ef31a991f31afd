using OnnxLlm.Serving.Engine;
using static OnnxLlm.Tests.Serving.SequenceFactory;

namespace OnnxLlm.Tests.Serving;

/// <summary>
/// How reading prompts and decoding share the time, by the prices that passes of a model of 124 M parameters have on two cores: what a plan costs is counted, not measured.
/// </summary>
public sealed class SharedTimeTests
{
    private const int Prompt = 256, Answer = 128;

    /// <summary>Milliseconds: every pass reads all weights.</summary>
    private static double Read(int tokens) => 5.6 + 1.36 * tokens;

    private static double Decode(int sequences) => 5.6 + 2.14 * sequences;

    /// <summary>Clients ask again as soon as they have their answers. The bare loop reads all prompts and then decodes them together, so none is faster.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(16)]
    [InlineData(32)]
    public void Clients_ThatAskAgain_GetNearlyAllOfTheBareLoopsRate(int clients)
    {
        const int answers = 4;
        var machine = new Machine(clients);
        for (var i = 0; i < clients; i++) machine.Ask(Prompt, Answer);
        for (var asked = clients; machine.Step();)
            for (; machine.Ended > asked - clients && asked < clients * answers; asked++) machine.Ask(Prompt, Answer);
        Assert.Equal(clients * answers, machine.Ended);
        var bare = clients * Read(Prompt) + (Answer - 1) * Decode(clients);
        Assert.InRange(answers * bare / machine.Now, 0.96, 1.05);
    }

    /// <summary>
    /// Between two tokens lies a pass for a piece of the prompt, and every pass reads all weights. By the prices above, pieces of one token would make the time of a stream that
    /// is alone 1.90 times as long, of two 2.07 times; of four, the shortest that are read, (5.6 + 1.36 × 4 + 7.74) / 7.74 = 2.43 times. So it could stay below twice only where
    /// prompts are read token by token, which takes three times as long as by four.
    /// </summary>
    [Theory]
    [InlineData(1, 2.43)]
    [InlineData(4, 2)]
    [InlineData(16, 2)]
    public void LongPrompt_ThatArrives_NeverHoldsUpRunningStreamsForLong(int streams, double most)
    {
        var machine = new Machine(streams + 1);
        for (var i = 0; i < streams; i++) machine.Ask(1, 4000);
        for (var i = 0; i < 200; i++) machine.Step();
        machine.Ask(2000, 1);
        var longest = 0.0;
        while (machine.Ended == 0)
        {
            var before = machine.Now;
            machine.Step();
            longest = Math.Max(longest, machine.Now - before);
        }

        Assert.InRange(longest / Decode(streams), 1, most);
    }

    /// <summary>The engine's loop without a model.</summary>
    private sealed class Machine(int slots)
    {
        private readonly Scheduler _scheduler = new(slots, 128);
        private readonly LatencyGovernor _governor = new(slots, 128, target: 0);

        public double Now { get; private set; }

        public int Ended { get; private set; }

        public void Ask(int prompt, int answer) => _scheduler.Enqueue(Create([.. Enumerable.Range(0, prompt)], answer));

        /// <summary>False when there is nothing left to do.</summary>
        public bool Step()
        {
            if (!_scheduler.HasWork) return false;
            _scheduler.PrefillChunk = _governor.Chunk(_scheduler.Decoding, _scheduler.Reading, _scheduler.Behind);
            var plan = _scheduler.Plan();
            var read = plan.Prefill?.Length ?? 0;
            var took = (read > 0 ? Read(read) : 0) + (plan.Decode.Count > 0 ? Decode(plan.Decode.Count) : 0);
            _governor.Observe(plan.Decode.Count, read, took / 1000);
            Now += took;
            Ended += _scheduler.Commit(plan, Samples(plan)).Count;
            return true;
        }

        private static Sample[] Samples(StepPlan plan) =>
        [
            .. plan.Prefill is { IsLast: true } chunk ? (Sample[])[new Sample(chunk.Sequence, 7, null)] : [],
            .. plan.Decode.Select(sequence => new Sample(sequence, 7, null)),
        ];
    }
}
