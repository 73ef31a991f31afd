using System.Text.Json;
using OnnxLlm.Text;
using OnnxLlm.Training;

namespace OnnxLlm.Tests.Training;

/// <summary>Runs of a tiny classifier, whose texts are good or bad by one word of theirs, in any place.</summary>
public abstract class ClassificationRuns : TinyRuns
{
    private protected const int Time = 12;

    private protected static readonly string[] Small =
    [
        "model.vocab_size=300", "model.hidden_size=32", "model.intermediate_size=64", $"model.max_position_embeddings={Time}", "model.initializer_range=0.1",
        "global_batch=16", "micro_batch=8", "optimizer.learning_rate=3e-3", "schedule.warmup_steps=1", "log_every=1",
    ];

    private static readonly string[] Neutral = ["it", "was", "the", "a", "there", "then"], Good = ["fine", "nice"], Bad = ["poor", "sad"];

    private protected ClassificationRuns()
    {
        Directory.Delete(Data, recursive: true);
        Directory.CreateDirectory(Data);
        Tokenizer = BpeTrainer.Train([.. Lines(1, 200).Select(line => line.Text)], new BpeSettings { VocabularySize = 300, SpecialTokens = ["<|endoftext|>", "<|pad|>", BpeSettings.MaskToken] });
        Tokenizer.Save(Data);
        Write("train", Lines(1, 400));
        Write("valid", Lines(2, 101));
    }

    private protected Tokenizer Tokenizer { get; }

    private protected override string ConfigName => "classify.json";

    private protected Outcome Run(string run, params string[] overrides) => Start(run, [.. Small, .. overrides]);

    private protected void Write(string split, IEnumerable<(string Text, string Label)> lines) =>
        File.WriteAllLines(Path.Combine(Data, $"{split}.jsonl"), lines.Select(line => JsonSerializer.Serialize(new { text = line.Text, label = line.Label })));

    /// <summary>Every other text is good, so of 101 there are 51.</summary>
    private protected static (string Text, string Label)[] Lines(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            var words = random.GetItems(Neutral, random.Next(1, 7)).ToList();
            words.Insert(random.Next(words.Count + 1), random.GetItems(i % 2 == 0 ? Good : Bad, 1)[0]);
            return (string.Join(' ', words), i % 2 == 0 ? "good" : "bad");
        })];
    }
}
