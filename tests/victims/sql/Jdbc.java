/*
 * What Java programs do: prepared statements that the driver names after a few executions, batches, cursors with a
 * fetch size. Says of each as JSON what it has asked, and how many rows it was told.
 * Words: the URL of the database, user, password.
 */
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

class Jdbc {
	static void told(String text, String parameter, int rows) {
		System.out.printf("{\"text\": \"%s\", \"parameter\": %s, \"rows\": %d}%n", text, parameter, rows);
	}

	static int count(ResultSet rows) throws SQLException {
		int number = 0;
		while (rows.next())
			number++;
		return number;
	}

	static void select(Connection session) throws SQLException {
		String text = "SELECT id FROM goods WHERE id < ?";
		try (PreparedStatement prepared = session.prepareStatement(text)) {
			for (int number = 0; number < 12; number++) {
				prepared.setInt(1, number);
				told(text, String.valueOf(number), count(prepared.executeQuery()));
			}
		}
	}

	static void insert(Connection session) throws SQLException {
		String text = "INSERT INTO goods VALUES (?)";
		try (PreparedStatement prepared = session.prepareStatement(text)) {
			for (int number = 0; number < 50; number++) {
				prepared.setInt(1, number);
				prepared.addBatch();
			}
			int[] changed = prepared.executeBatch();
			for (int number = 0; number < 50; number++)
				told(text, String.valueOf(number), changed[number]);
		}
	}

	static void fetch(Connection session) throws SQLException {
		session.setAutoCommit(false);
		String text = "SELECT id FROM goods WHERE id >= ?";
		try (PreparedStatement prepared = session.prepareStatement(text)) {
			prepared.setFetchSize(20);
			prepared.setInt(1, 0);
			told(text, "0", count(prepared.executeQuery()));
		}
		session.commit();
	}

	public static void main(String[] words) throws SQLException {
		try (Connection session = DriverManager.getConnection(words[0], words[1], words[2]);
		     Statement plain = session.createStatement()) {
			plain.execute("CREATE TABLE goods (id INT)");
			insert(session);
			select(session);
			fetch(session);
		}
	}
}
