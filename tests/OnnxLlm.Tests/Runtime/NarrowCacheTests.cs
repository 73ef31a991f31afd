using OnnxLlm.Benchmarks.Models;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Runtime;

/// <summary>
/// Packages of 8-bit weights and a cache of 16 or 8 bits. Each of their operators gives a row the same bits whatever is beside it, so everything here is equal to the last bit: a key that
/// fell on the other side of a tie would show.
/// </summary>
public sealed class NarrowCacheTests
{
    private const int Length = 24;

    private static readonly int[] First = [5, 3, 60, 7, 11, 2, 9], Second = [1, 44, 8], Third = [17, 17, 4, 25, 6, 33, 2, 0, 12, 51, 7];

    /// <summary>Attention that turns inside, with and without positions of its own, and with turning before it.</summary>
    public static TheoryData<string, ElementType> Cases => new()
    {
        { "llama-16", ElementType.BFloat16 }, { "gpt2-tiny", ElementType.BFloat16 }, { "llama-tiny", ElementType.BFloat16 },
        { "llama-16", ElementType.Int8 }, { "gpt2-tiny", ElementType.Int8 }, { "llama-tiny", ElementType.Int8 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Prefill_InPieces_EqualsInOne(string name, ElementType cache)
    {
        using var toy = new Toy(name, cache);
        float[] whole = toy.Session.Prefill(0, Third, 0).ToArray();
        toy.Session.Prefill(1, Third.AsSpan(0, 4), 0);
        toy.Session.Prefill(1, Third.AsSpan(4, 6), 4);
        Assert.Equal(whole, toy.Session.Prefill(1, Third.AsSpan(10), 10).ToArray());
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Decode_RaggedSlots_EqualsEachAlone(string name, ElementType cache)
    {
        using var toy = new Toy(name, cache);
        int[][] prompts = [First, Second, Third];
        for (int slot = 0; slot < 3; slot++) toy.Session.Prefill(slot, prompts[slot], 0);
        for (int step = 0; step < 5; step++)
        {
            int[] tokens = [step + 1, 2 * step + 5, 3 * step + 9];
            float[] together = toy.Session.Decode(tokens, [.. prompts.Select(prompt => prompt.Length)]).ToArray();
            prompts = [.. prompts.Zip(tokens, (prompt, token) => (int[])[.. prompt, token])];
            Assert.Equal([.. prompts.SelectMany(toy.Alone)], together);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Slot_MovedSavedAndLoaded_GoesOnAsItWas(string name, ElementType cache)
    {
        using var toy = new Toy(name, cache);
        toy.Session.Prefill(2, Third, 0);
        toy.Session.Move(2, 0);
        using SlotSnapshot saved = toy.Session.Save(2, Third.Length);
        toy.Session.Prefill(1, First, 0);
        toy.Session.Load(saved, Third.Length, 1);
        float[] alone = toy.Alone([.. Third, 8]);
        Assert.Equal([.. alone, .. alone], toy.Session.Decode([8, 8], [Third.Length, Third.Length]).ToArray());
        Assert.Equal(64 * toy.Session.BytesPerPosition, saved.Bytes);          // one block
    }

    [Theory]
    [InlineData(ElementType.BFloat16, 2)]
    [InlineData(ElementType.Int8, 4)]
    public void Cache_OfFewerBits_TakesThatMuchLess(ElementType cache, int times)
    {
        using var toy = new Toy("llama-16", cache);
        using var package = new TinyPackage(TinyModel.Named("llama-16"));
        using var floats = new GenerationSession(ModelPackage.Open(package.Folder), 4, Length, Toy.Settings);
        Assert.Equal((floats.CacheBytes, floats.BytesPerPosition), (times * toy.Session.CacheBytes, times * toy.Session.BytesPerPosition));
    }

    /// <summary>A session of four slots, and another that serves one sequence at a time.</summary>
    private sealed class Toy : IDisposable
    {
        private readonly TinyPackage _package;
        private readonly GenerationSession _alone;

        public Toy(string name, ElementType cache)
        {
            var model = TinyModel.Named(name);
            _package = new TinyPackage(model);
            var random = new Random(1);
            int[] text = [.. Enumerable.Range(0, 8 * model.Config.MaxPositions).Select(_ => random.Next(model.Config.VocabularySize))];
            ModelPackage opened = ModelPackage.Open(QuantizedCopy.Write(_package.Folder, Path.GetDirectoryName(_package.Folder)!, cache, text));
            Session = new GenerationSession(opened, 4, Math.Min(Length, opened.Config.MaxPositions), Settings);
            _alone = new GenerationSession(opened, 1, opened.Config.MaxPositions, Settings);
        }

        public static SessionSettings Settings => new() { Threads = 1, Spinning = false };

        public GenerationSession Session { get; }

        public float[] Alone(int[] tokens) => _alone.Prefill(0, tokens, 0).ToArray();

        public void Dispose()
        {
            Session.Dispose();
            _alone.Dispose();
            _package.Dispose();
        }
    }
}
