using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Runtime;

/// <summary>However a sequence gets into its slot and whoever is beside it, its scores must be those that it gets alone and in one piece.</summary>
public sealed class GenerationSessionTests
{
    private const int Length = 24;

    /// <summary>A few hundred roundings of 6e-8, in another order where other tokens share a product.</summary>
    private const double Arithmetic = 2e-5;

    private static readonly int[] First = [5, 3, 60, 7, 11, 2, 9], Second = [1, 44, 8], Third = [17, 17, 4, 25, 6, 33, 2, 0, 12, 51, 7];

    /// <summary>With kernels all new tokens stand in one row; without, each sequence has a row.</summary>
    public static TheoryData<string, bool> NamesAndKernels
    {
        get
        {
            var cases = new TheoryData<string, bool>();
            foreach (string name in TinyModel.Names)
            {
                cases.Add(name, true);
                cases.Add(name, false);
            }
            return cases;
        }
    }

    public static TheoryData<string> Names => TinyModel.Names;

    [Theory]
    [MemberData(nameof(NamesAndKernels))]
    public void Prefill_InPieces_EqualsInOne(string name, bool kernels)
    {
        using var toy = new Toy(name, kernels);
        float[] whole = toy.Session.Prefill(0, Third, 0).ToArray();
        toy.Session.Prefill(1, Third.AsSpan(0, 4), 0);
        toy.Session.Prefill(1, Third.AsSpan(4, 6), 4);
        Closeness.AssertClose(toy.Session.Prefill(1, Third.AsSpan(10), 10), whole, Arithmetic, "in pieces");
    }

    [Theory]
    [MemberData(nameof(NamesAndKernels))]
    public void Score_WholeText_EqualsTokenByToken(string name, bool kernels)
    {
        using var toy = new Toy(name, kernels);
        toy.Session.Prefill(1, Second, 0);
        toy.Session.Prefill(0, Third.AsSpan(0, 4), 0);
        float[] all = toy.Session.Score(0, Third.AsSpan(4), 4).ToArray();
        for (int i = 4; i < Third.Length; i++)
            Closeness.AssertClose(all.AsSpan((i - 4) * toy.Session.VocabularySize, toy.Session.VocabularySize), toy.Alone(Third[..(i + 1)]), Arithmetic, $"after token {i}");
        float[] both = toy.Session.Decode([9, 6], [5, Second.Length]).ToArray();     // forgets what was scored behind position 5
        Closeness.AssertClose(both.AsSpan(0, toy.Session.VocabularySize), toy.Alone([.. Third[..5], 9]), Arithmetic, "after going back");
        Closeness.AssertClose(both.AsSpan(toy.Session.VocabularySize), toy.Alone([.. Second, 6]), Arithmetic, "the other slot");
    }

    [Theory]
    [MemberData(nameof(NamesAndKernels))]
    public void Hidden_InPieces_EqualsInOne(string name, bool kernels)
    {
        using var toy = new Toy(name, kernels);
        float[] whole = toy.Session.Hidden(0, Third, 0).ToArray();
        Assert.Equal(Third.Length * toy.Session.Width, whole.Length);
        toy.Session.Prefill(1, Third.AsSpan(0, 4), 0);
        Closeness.AssertClose(toy.Session.Hidden(1, Third.AsSpan(4), 4), whole.AsSpan(4 * toy.Session.Width), Arithmetic, "the rest");
    }

    [Theory]
    [MemberData(nameof(NamesAndKernels))]
    public void Decode_RaggedSlots_EqualsEachAlone(string name, bool kernels)
    {
        using var toy = new Toy(name, kernels);
        int[][] prompts = [First, Second, Third];
        for (int slot = 0; slot < 3; slot++) toy.Session.Prefill(slot, prompts[slot], 0);
        int[] pasts = [.. prompts.Select(prompt => prompt.Length)];
        for (int step = 0; step < 5; step++)
        {
            int[] tokens = [step + 1, 2 * step + 5, 3 * step + 9];
            float[] together = toy.Session.Decode(tokens, pasts).ToArray();
            for (int slot = 0; slot < 3; slot++)
            {
                prompts[slot] = [.. prompts[slot], tokens[slot]];
                pasts[slot]++;
                Closeness.AssertClose(together.AsSpan(slot * toy.Session.VocabularySize, toy.Session.VocabularySize), toy.Alone(prompts[slot]), Arithmetic, $"slot {slot}");
            }
        }
    }

    /// <summary>A piece of a prompt, and its end, in the passes that decode two other sequences.</summary>
    [Theory]
    [MemberData(nameof(Names))]
    public void DecodeAndRead_OneSlotBesideOthers_EqualsEachAlone(string name)
    {
        using var toy = new Toy(name);
        int v = toy.Session.VocabularySize;
        toy.Session.Prefill(0, First, 0);
        toy.Session.Prefill(1, Second, 0);
        toy.Session.Prefill(3, Third.AsSpan(0, 2), 0);
        float[] begun = toy.Session.DecodeAndRead([9, 4], [First.Length, Second.Length], 3, Third.AsSpan(2, 5), 2).ToArray();
        Assert.Equal(3 * v, begun.Length);
        Closeness.AssertClose(begun.AsSpan(0, v), toy.Alone([.. First, 9]), Arithmetic, "the first");
        Closeness.AssertClose(begun.AsSpan(v, v), toy.Alone([.. Second, 4]), Arithmetic, "the second");
        Closeness.AssertClose(begun.AsSpan(2 * v), toy.Alone(Third[..7]), Arithmetic, "what was read");
        float[] ended = toy.Session.DecodeAndRead([6], [First.Length + 1], 3, Third.AsSpan(7), 7).ToArray();
        Closeness.AssertClose(ended.AsSpan(0, v), toy.Alone([.. First, 9, 6]), Arithmetic, "the first again");
        Closeness.AssertClose(ended.AsSpan(v), toy.Alone(Third), Arithmetic, "all that was read");
        toy.Session.Move(3, 2);
        float[] three = toy.Session.Decode([1, 2, 3], [First.Length + 2, Second.Length + 1, Third.Length]).ToArray();
        Closeness.AssertClose(three.AsSpan(v, v), toy.Alone([.. Second, 4, 2]), Arithmetic, "the second again");
        Closeness.AssertClose(three.AsSpan(2 * v), toy.Alone([.. Third, 3]), Arithmetic, "what was read, decoded");
    }

    [Fact]
    public void DecodeAndRead_WhereItCannot_IsRefused()
    {
        using var toy = new Toy("llama-tiny");
        toy.Session.Prefill(0, First, 0);
        toy.Session.Prefill(1, Second, 0);
        Assert.True(toy.Session.ReadsWhileDecoding);
        Assert.Contains("Slot 1 is decoded", Refusal(() => toy.Session.DecodeAndRead([9, 9], [First.Length, Second.Length], 1, Third, Second.Length)), StringComparison.Ordinal);
        Assert.Contains("holds 3 positions, not 4", Refusal(() => toy.Session.DecodeAndRead([9], [First.Length], 1, Third, 4)), StringComparison.Ordinal);
        Assert.Contains("room for 1 to 21 more positions, got 0", Refusal(() => toy.Session.DecodeAndRead([9], [First.Length], 1, [], 3)), StringComparison.Ordinal);
        using var rows = new Toy("llama-tiny", kernels: false);
        rows.Session.Prefill(0, First, 0);
        Assert.False(rows.Session.ReadsWhileDecoding);
        Assert.Contains("with kernels", Refusal(() => rows.Session.DecodeAndRead([9], [First.Length], 1, Third, 0)), StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_FewerSlots_LeavesTheOthers()
    {
        using var toy = new Toy("llama-16");
        toy.Session.Prefill(0, First, 0);
        toy.Session.Prefill(1, Second, 0);
        toy.Session.Decode([9], [First.Length]);
        float[] both = toy.Session.Decode([4, 6], [First.Length + 1, Second.Length]).ToArray();
        Closeness.AssertClose(both.AsSpan(toy.Session.VocabularySize), toy.Alone([.. Second, 6]), Arithmetic, "slot 1");
    }

    [Fact]
    public void Move_ToAnotherSlot_ContinuesThere()
    {
        using var toy = new Toy("llama-tiny");
        toy.Session.Prefill(2, Third, 0);
        toy.Session.Move(2, 0);
        Closeness.AssertClose(toy.Session.Decode([8], [Third.Length]), toy.Alone([.. Third, 8]), Arithmetic, "after the move");
    }

    [Fact]
    public void Prefill_ShorterPast_ForgetsWhatFollowed()
    {
        using var toy = new Toy("gpt2-tiny");
        toy.Session.Prefill(0, Third, 0);
        Closeness.AssertClose(toy.Session.Prefill(0, [30, 31], 4), toy.Alone([.. Third.Take(4), 30, 31]), Arithmetic, "after going back");
    }

    [Fact]
    public void Calls_OutsideTheSlots_AreRefused()
    {
        using var toy = new Toy("llama-tiny");
        Assert.Contains("not a slot 4", Refusal(() => toy.Session.Prefill(4, First, 0)), StringComparison.Ordinal);
        Assert.Contains("holds 0 positions, not 3", Refusal(() => toy.Session.Prefill(0, First, 3)), StringComparison.Ordinal);
        Assert.Contains("room for 1 to 24 more positions, got 25", Refusal(() => toy.Session.Prefill(0, new int[25], 0)), StringComparison.Ordinal);
        Assert.Contains("outside the vocabulary", Refusal(() => toy.Session.Prefill(0, [-1], 0)), StringComparison.Ordinal);
        Assert.Contains("1 to 4 slots", Refusal(() => toy.Session.Decode([], [])), StringComparison.Ordinal);
    }

    [Fact]
    public void Create_LongerThanTheModel_IsRefused()
    {
        using var package = new TinyPackage(TinyModel.Named("llama-tiny"));
        ModelPackage opened = ModelPackage.Open(package.Folder);
        Assert.Contains("model's limit", Refusal(() => new GenerationSession(opened, 1, opened.Config.MaxPositions + 1, new SessionSettings()).Dispose()), StringComparison.Ordinal);
    }

    [Fact]
    public void Create_WithLessMemoryThanSlotsTake_HasFewer()
    {
        using var package = new TinyPackage(TinyModel.Named("llama-tiny"));
        ModelPackage opened = ModelPackage.Open(package.Folder);
        long slot = Slots(long.MaxValue).Bytes / 3;
        Assert.Equal((3, 3 * slot), Slots(3 * slot));
        Assert.Equal((2, 2 * slot), Slots(3 * slot - 1));
        Assert.Equal((1, slot), Slots(slot));
        Assert.Contains("one sequence of 8 tokens", Refusal(() => Slots(slot - 1)), StringComparison.Ordinal);

        (int Count, long Bytes) Slots(long most)
        {
            using var session = new GenerationSession(opened, 3, 8, new SessionSettings(), most);
            return (session.Slots, session.CacheBytes);
        }
    }

    [Fact]
    public void Create_ModelWithNaN_IsRefused()
    {
        TinyModel model = TinyModel.Named("llama-tiny");
        using var package = new TinyPackage(model with { Weight = name => name == "model.norm.weight" ? [.. model.Weight(name).Select(_ => float.NaN)] : model.Weight(name) });
        ModelPackage opened = ModelPackage.Open(package.Folder);
        Assert.Contains("not finite", Refusal(() => new GenerationSession(opened, 1, 8, new SessionSettings()).Dispose()), StringComparison.Ordinal);
    }

    private static string Refusal(Action action) => Assert.Throws<ModelRuntimeException>(action).Message;

    /// <summary>A session of four slots, and another that serves one sequence at a time.</summary>
    private sealed class Toy : IDisposable
    {
        private readonly TinyPackage _package;
        private readonly GenerationSession _alone;

        public Toy(string name, bool kernels = true)
        {
            _package = new TinyPackage(TinyModel.Named(name));
            ModelPackage opened = ModelPackage.Open(_package.Folder);
            var settings = new SessionSettings { Threads = 1, Spinning = false, Kernels = kernels };
            Session = new GenerationSession(opened, 4, Math.Min(Length, opened.Config.MaxPositions), settings);
            _alone = new GenerationSession(opened, 1, opened.Config.MaxPositions, settings);
        }

        public GenerationSession Session { get; }

        public ReadOnlySpan<float> Alone(int[] tokens) => _alone.Prefill(0, tokens, 0);

        public void Dispose()
        {
            Session.Dispose();
            _alone.Dispose();
            _package.Dispose();
        }
    }
}
