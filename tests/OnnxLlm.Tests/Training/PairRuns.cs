using System.Text.Json;
using OnnxLlm.Text;
using OnnxLlm.Training;

namespace OnnxLlm.Tests.Training;

/// <summary>Runs of a tiny encoder-decoder that is to write down what it reads: words of letters, none of them twice.</summary>
public abstract class PairRuns : TinyRuns
{
    private protected const int Time = 10;

    private protected static readonly string[] Small =
    [
        "model.vocab_size=261", "model.d_model=64", "model.d_kv=16", "model.num_layers=2", "model.d_ff=128", $"model.n_positions={Time}",
        "global_batch=16", "micro_batch=8", "optimizer.learning_rate=3e-3", "schedule.warmup_steps=1", "log_every=1", "evaluate_tokens=640",
    ];

    private protected PairRuns()
    {
        Directory.CreateDirectory(Data);
        Tokenizer.Save(Data);
        WritePairs("train", Words(1, 4000));
        WritePairs("valid", Unseen);
    }

    /// <summary>Of bytes, so that a letter is a token.</summary>
    private protected static Tokenizer Tokenizer { get; } = BpeTrainer.Train(["ab"], new BpeSettings { VocabularySize = 260 });

    /// <summary>None of them is among those that are trained on.</summary>
    private protected static string[] Unseen { get; } = [.. Words(2, 200).Except(Words(1, 4000)).Take(64)];

    private protected override string ConfigName => "t5.json";

    private protected Outcome Run(string run, params string[] overrides) => Start(run, [.. Small, .. overrides]);

    /// <summary>Long enough for the task to be learned.</summary>
    private protected Outcome Learn(string run) => Run(run, "steps=1200", "global_batch=32", "micro_batch=32", "schedule.warmup_steps=20", "optimizer.learning_rate=2e-3", "evaluate_every=0", "threads=2");

    private protected void WritePairs(string split, IEnumerable<string> words) => File.WriteAllLines(Path.Combine(Data, $"{split}.jsonl"), words.Select(word => JsonSerializer.Serialize(new { input = word, target = word })));

    /// <summary>3 to 8 different letters of the first twelve.</summary>
    private static string[] Words(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ =>
        {
            char[] letters = [.. "abcdefghijkl"];
            random.Shuffle(letters);
            return new string(letters, 0, random.Next(3, 9));
        })];
    }
}
